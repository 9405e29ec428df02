"""What `jaga coverage` says, in both languages. Placeholders in braces are filled by `alerts.text.fill`."""

import msgspec


class CoverageWords(msgspec.Struct, frozen=True, kw_only=True):
    """One language. A field that is missing in one of them stops the import, so neither can fall behind."""

    columns: dict[str, str]
    parts: dict[str, str]  # by Cover.part
    notices: dict[str, str]  # by Cover.notices
    mends: dict[str, str]  # by Cover.mend
    outside: str
    blind: str
    hears: str
    hears_after: str
    hears_until: str
    always: str
    daily: str
    days: tuple[str, str, str, str, str, str, str]
    colon: str
    gap: str
    no_gap: str


ID = CoverageWords(
    columns={"part": "Bila mati", "when": "Kapan", "notices": "Yang tahu", "hears": "Yang dikabari"},
    parts={
        "server": "server ini", "internet": "internet server", "agent": "Jaga sendiri", "app": "aplikasi toko",
        "channel": "kanal {channel}", "duty": "petugas diam", "warnings": "peringatan",
    },
    notices={
        "heartbeat": "layanan detak", "systemd_heartbeat": "systemd, lalu layanan detak",
        "systemd": "systemd (hanya menghidupkan lagi)", "jaga": "Jaga", "escalation": "eskalasi",
        "nobody": "tidak ada",
    },
    mends={
        "heartbeat": "[heartbeat] url, alamat dari layanan detak di luar (docs/proof.md)",
        "collectors": "[collectors.services] untuk layanan aplikasinya",
        "people": "[oncall] people",
        "reach": "kanal yang sampai ke HP petugas, mis. [notifiers.telegram], dan channels pada kontaknya",
        "second_channel": "kanal kedua pada channels petugas, selain {channel}",
        "second_person": "orang kedua di [oncall] people, dengan kanal yang sampai ke HP-nya",
        "rule": "[rules.notifier_failing] critical",
    },
    outside="yang terdaftar di layanan detak",
    blind="TIDAK ADA",
    hears="{who} ({channels})",
    hears_after="{who} ({channels}), setelah {minutes} menit",
    hears_until="{who} ({channels}), menunggu pukul {until}",
    always="selalu",
    daily="setiap hari {times}",
    days=("Sen", "Sel", "Rab", "Kam", "Jum", "Sab", "Min"),
    colon=".",
    gap="Tidak terjaga: {parts}. Yang menutupnya: {mend}.",
    no_gap="Semua jam terjaga.",
)

EN = CoverageWords(
    columns={"part": "If it dies", "when": "When", "notices": "Who notices", "hears": "Who is told"},
    parts={
        "server": "this server", "internet": "the server's internet", "agent": "Jaga itself",
        "app": "the shop's programs", "channel": "channel {channel}", "duty": "on duty, silent",
        "warnings": "warnings",
    },
    notices={
        "heartbeat": "the heartbeat service", "systemd_heartbeat": "systemd, then the heartbeat service",
        "systemd": "systemd (only starts it again)", "jaga": "Jaga", "escalation": "the escalation",
        "nobody": "nobody",
    },
    mends={
        "heartbeat": "[heartbeat] url, an address at a heartbeat service outside (docs/proof.md)",
        "collectors": "[collectors.services] for the services that they need",
        "people": "[oncall] people",
        "reach": "a channel that reaches the person's phone, such as [notifiers.telegram], among the contact's",
        "second_channel": "a second channel among the channels of who is on duty, besides {channel}",
        "second_person": "a second person in [oncall] people, with a channel that reaches their phone",
        "rule": "[rules.notifier_failing] critical",
    },
    outside="who is listed at the heartbeat service",
    blind="NOBODY",
    hears="{who} ({channels})",
    hears_after="{who} ({channels}), after {minutes} min",
    hears_until="{who} ({channels}), waits until {until}",
    always="always",
    daily="every day {times}",
    days=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    colon=":",
    gap="Nobody watches: {parts}. What closes the gap: {mend}.",
    no_gap="Every hour is watched.",
)


def words(language: str) -> CoverageWords:
    """The phrases of a language; Indonesian where it is not known."""
    return EN if language == "en" else ID
