"""What the page behind a signed link says, in both languages; its readers are half asleep, on a phone.

Placeholders in braces are filled by `alerts.text.fill`.
"""

import msgspec


class LinkWords(msgspec.Struct, frozen=True, kw_only=True):
    """One language. A field that is missing in one of them stops the import, so neither can fall behind."""

    hello: str
    take: str
    take_over: str
    forward: str
    yours: str
    taken: str
    passed: str
    already: dict[str, str]  # by action
    others: str
    over: str
    gone: str
    expired: str
    unsure: str


ID = LinkWords(
    hello="Untuk {who}",
    take="Saya tangani ({lasts})",
    take_over="Ambil alih ({lasts})",
    forward="Bukan saya, teruskan",
    yours="Anda menanganinya sampai {until}.",
    taken="Tercatat: {code} Anda tangani sampai {until}.",
    passed="Tercatat: {code} diteruskan, yang lain dikabari sekarang.",
    already={
        "ack": "Dengan tautan ini sudah diambil ({at}). Bila perlu lagi, buka tautan di pesan terbaru.",
        "refuse": "Dengan tautan ini sudah diteruskan ({at}). Bila perlu lagi, buka tautan di pesan terbaru.",
    },
    others="{code} sudah ditangani {who} sampai {until}; tidak perlu diteruskan.",
    over="{code} sudah selesai; tidak ada yang perlu dilakukan.",
    gone="Gangguan ini sudah tidak ada dalam catatan.",
    expired="Tautan ini sudah kedaluwarsa. Buka tautan di pesan Jaga terbaru, atau kabari petugas IT.",
    unsure="Belum dilakukan apa pun. Buka lagi tautan di pesan, lalu tekan tombolnya.",
)

EN = LinkWords(
    hello="For {who}",
    take="I take it ({lasts})",
    take_over="I take it over ({lasts})",
    forward="Not me, pass it on",
    yours="You have it until {until}.",
    taken="Noted: you have {code} until {until}.",
    passed="Noted: {code} is passed on, the others are told now.",
    already={
        "ack": "It was taken with this link already ({at}). If need be again, open the newest message's link.",
        "refuse": "It was passed on with this link already ({at}). If need be again, open the newest message's link.",
    },
    others="{who} has {code} until {until}; it need not be passed on.",
    over="{code} is over; there is nothing to do.",
    gone="There is no record of this problem any more.",
    expired="This link has expired. Open the one in Jaga's newest message, or tell the IT person.",
    unsure="Nothing was done yet. Open the link in the message again, and press its button.",
)


def link_words(language: str) -> LinkWords:
    """The phrases of a language; Indonesian where it is not known."""
    return EN if language == "en" else ID
