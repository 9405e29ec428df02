"""The fixed phrases of both languages, as data: everything that people read and no rule brings along.

Placeholders in braces are filled by `alerts.words`; a phrase holds no newline.
"""

import msgspec


class Phrases(msgspec.Struct, frozen=True, kw_only=True):
    """One language. A field that is missing in one of them stops the import, so neither can fall behind."""

    decimal: str
    thousands: str
    clock: str  # strftime
    days: tuple[str, str, str, str, str, str, str]  # from Monday
    months: tuple[str, str, str, str, str, str, str, str, str, str, str, str]
    second: str
    minute: str
    hour: str
    day: str
    under_a_minute: str
    unknown: str
    unlimited: str

    severities: dict[str, str]  # in capitals, for subjects
    tags: dict[str, str]  # of subjects whose severity is not the point any more
    headlines: dict[str, str]  # by reason; an opening by its severity
    subject_several: str
    subject_over: str
    subject_both: str
    codes_more: str
    nobody: str  # who did it, when that is not known

    baseline: tuple[str, str]  # one thing, several things
    baseline_short: tuple[str, str]
    more_members: str
    begin_at_top: str

    since: str
    from_to: str
    sent: str

    limit: str
    limit_alone: str
    growth: str
    forecast: str
    absent: str
    unknown_now: str
    removed: str
    closed_by: str
    value_now: str
    changes: str
    acked_until: str
    told_before: str

    first: str
    fix: str
    mark: str
    answer_reply: str
    answer_take_over: str
    if_you_take_it: str
    to_take_over: str
    answer_link: str
    answer_command: str
    answer_call: str
    look: str

    stale: tuple[str, str]  # one, several
    from_memory: str
    stands_in: str
    printed_for: str


ID = Phrases(
    decimal=",", thousands=".", clock="%H.%M",
    days=("Sen", "Sel", "Rab", "Kam", "Jum", "Sab", "Min"),
    months=("Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des"),
    second="detik", minute="menit", hour="jam", day="hari", under_a_minute="kurang dari 1 menit",
    unknown="tidak diketahui", unlimited="tak terbatas",
    severities={"critical": "KRITIS", "warning": "PERINGATAN"},
    tags={"resolved": "SELESAI", "removed": "DITUTUP", "test": "TES"},
    headlines={
        "critical": "KRITIS: {about}",
        "warning": "Peringatan: {about}",
        "worsened": "MEMBURUK: {about}",
        "joined": "Bertambah: {about}",
        "escalated": "Diteruskan ke Anda: {about}",
        "reminded": "Belum ditangani ({elapsed}): {about}",
        "ack_expired": "Masih ditangani? {about}",
        "acked": "Sudah ditangani {who}: {about}",
        "unacked": "Dilepas {who}, belum ada yang menangani: {about}",
        "recurred": "Kambuh: {about}",
        "flapping": "Naik-turun terus: {about}",
        "resolved": "SELESAI: {about} ({elapsed})",
        "removed": "DITUTUP: {about} ({elapsed})",
        "test": "Tes: pesan dari Jaga, tidak ada masalah",
    },
    subject_several="{count} masalah: {codes}",
    subject_over="{count} masalah selesai: {codes}",
    subject_both="{open}; selesai: {codes}",
    codes_more="{codes} dan {count} lainnya",
    nobody="seseorang",
    baseline=("Temuan awal: {count} hal sudah bermasalah sebelum Jaga dipasang",
              "Temuan awal: {count} hal sudah bermasalah sebelum Jaga dipasang"),
    baseline_short=("temuan awal, {count} hal", "temuan awal, {count} hal"),
    more_members="dan {count} lainnya",
    begin_at_top="Mulai dari yang teratas.",
    since="Sejak {begin} ({elapsed})",
    from_to="Dari {begin} sampai {end} ({elapsed})",
    sent="Dikirim {end}",
    limit="{value}, batas {threshold}",
    limit_alone="batas {threshold}",
    growth="naik {value} dalam {window}",
    forecast="sekitar {value} lagi",
    absent="tanpa kabar {value}",
    unknown_now="Sumber diam: keadaan sekarang tidak diketahui.",
    removed="Tidak dipantau lagi; keadaannya sekarang tidak diketahui.",
    closed_by="Ditutup oleh {who}.",
    value_now="Sekarang: {value}",
    changes="{count} kali berubah sejak {begin}",
    acked_until="Ditangani {who} sampai {end}.",
    told_before="Sudah diberi tahu: {who}.",
    first="Langkah pertama: ",
    fix="Perbaikan: ",
    mark="Kode {mark}",
    answer_reply='Balas "ok {code}" bila Anda tangani.',
    answer_take_over='Balas "ok {code}" untuk mengambil alih.',
    if_you_take_it="Bila Anda tangani",
    to_take_over="Untuk mengambil alih",
    answer_link="{lead}, buka: {link}",
    answer_command="{lead}, jalankan: jaga ack {code}",
    answer_call="{lead}, kabari IT dan sebut kode {code}.",
    look="Lihat: {link}",
    stale=("{count} pesan basi tidak terkirim", "{count} pesan basi tidak terkirim"),
    from_memory="dikirim dari memori: penyimpanan penuh atau rusak",
    stands_in="pengganti {mark} yang tidak sampai",
    printed_for="untuk {name}",
)

EN = Phrases(
    decimal=".", thousands=",", clock="%H:%M",
    days=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    second="s", minute="min", hour="h", day="d", under_a_minute="under 1 min",
    unknown="unknown", unlimited="unlimited",
    severities={"critical": "CRITICAL", "warning": "WARNING"},
    tags={"resolved": "RESOLVED", "removed": "CLOSED", "test": "TEST"},
    headlines={
        "critical": "CRITICAL: {about}",
        "warning": "Warning: {about}",
        "worsened": "WORSE: {about}",
        "joined": "More of it: {about}",
        "escalated": "Passed on to you: {about}",
        "reminded": "Still not taken ({elapsed}): {about}",
        "ack_expired": "Still on it? {about}",
        "acked": "{who} is on it: {about}",
        "unacked": "{who} gave it back, nobody is on it: {about}",
        "recurred": "Back again: {about}",
        "flapping": "Up and down: {about}",
        "resolved": "RESOLVED: {about} ({elapsed})",
        "removed": "CLOSED: {about} ({elapsed})",
        "test": "Test: a message from Jaga, nothing is wrong",
    },
    subject_several="{count} problems: {codes}",
    subject_over="{count} problems over: {codes}",
    subject_both="{open}; over: {codes}",
    codes_more="{codes} and {count} more",
    nobody="Somebody",
    baseline=("First look: {count} thing was wrong before Jaga was installed",
              "First look: {count} things were wrong before Jaga was installed"),
    baseline_short=("first look, {count} thing", "first look, {count} things"),
    more_members="and {count} more",
    begin_at_top="Begin at the top.",
    since="Since {begin} ({elapsed})",
    from_to="From {begin} to {end} ({elapsed})",
    sent="Sent {end}",
    limit="{value}, limit {threshold}",
    limit_alone="limit {threshold}",
    growth="grew by {value} within {window}",
    forecast="in about {value}",
    absent="no word for {value}",
    unknown_now="The source is silent: its state now is unknown.",
    removed="No longer watched; its state now is unknown.",
    closed_by="Closed by {who}.",
    value_now="Now: {value}",
    changes="changed {count} times since {begin}",
    acked_until="{who} has it until {end}.",
    told_before="Told already: {who}.",
    first="First step: ",
    fix="Fix: ",
    mark="Code {mark}",
    answer_reply='Reply "ok {code}" if you take it.',
    answer_take_over='Reply "ok {code}" to take over.',
    if_you_take_it="If you take it",
    to_take_over="To take over",
    answer_link="{lead}, open: {link}",
    answer_command="{lead}, run: jaga ack {code}",
    answer_call="{lead}, tell IT and name the code {code}.",
    look="See: {link}",
    stale=("{count} stale message was not sent", "{count} stale messages were not sent"),
    from_memory="sent from memory: the store is full or broken",
    stands_in="in place of {mark}, which did not arrive",
    printed_for="for {name}",
)

LANGUAGES: dict[str, Phrases] = {"id": ID, "en": EN}


def phrases(language: str) -> Phrases:
    """The phrases of a language; Indonesian where it is not known."""
    return LANGUAGES.get(language, ID)
