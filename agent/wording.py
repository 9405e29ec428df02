"""The fixed phrases of the pages and the command line in both languages, as data; incidents bring their own words.

Placeholders in braces are filled by `alerts.text.fill`.
"""

import msgspec


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """One language. A field that is missing in one of them stops the import, so neither can fall behind."""

    # what is open
    open_title: str
    nothing_open: str
    none_open: str  # without a word on how much could be read
    not_all_known: str  # nothing is open, but not everything could be looked at
    nobody_has_it: str
    has_it: str
    nexts: dict[str, str]  # by Next.what
    severities: dict[str, str]
    states: dict[str, str]  # of an incident's member, or a verdict

    # what is watched
    watched_title: str
    collector_states: dict[str, str]
    ago: str
    never: str

    # the line on how we are
    on_duty: str
    last_accepted: str
    data_age: str
    made_at: str
    unsaved: str
    line_lost: str

    # one incident
    details: str
    first: str
    lay: str
    fix: str
    take_it: str
    members: str
    history: str
    messages: str
    closed: str
    whats: dict[str, str]  # of the history; one that is missing is shown as it is
    message_states: dict[str, str]
    proofs: dict[str, str]
    back: str

    # heads of columns
    columns: dict[str, str]

    # errors of the pages
    no_page: str
    no_incident: str
    no_method: str
    broken: str
    wrong_host: str

    # the command line
    acked: str
    unacked: str
    unknown_code: str
    did_you_mean: str
    open_codes: str
    ack_too_long: str
    silenced: str
    silence_too_long: str
    no_matcher: str
    unknown_silence: str
    known_silences: str
    expired: str
    no_silences: str
    no_proposals: str
    unknown_contact: str
    known_contacts: str
    barred: str
    let_in: str
    not_running: str
    start_it: str
    tested: str
    test_failed: str
    no_proof: str
    forget_sure: str
    forgotten: str
    unknown_collector: str
    known_collectors: str
    measured: str
    failed: str
    all_good: str
    some_bad: str
    needs_history: str
    because: str  # followed by the rule that explains a problem
    duty_until: str
    duty_always: str
    duty_whys: dict[str, str]  # by Turn.why

    # a rule's condition
    conditions: dict[str, str]  # by kind
    when_held: str
    only_where: str


ID = Wording(
    open_title="Gangguan terbuka",
    nothing_open="Tidak ada gangguan: semua yang dipantau terbaca dan baik.",
    none_open="Tidak ada gangguan terbuka.",
    not_all_known="Tidak ada gangguan terbuka, tetapi tidak semuanya terbaca (lihat di bawah).",
    nobody_has_it="belum ada",
    has_it="{who} sampai {until}",
    nexts={
        "told": "{at}: dikabarkan ke {to}",
        "explained": "akibat dari {because}; dikabarkan bila tetap ada sesudahnya",
        "escalated": "{at}: diteruskan ke {to}",
        "reminded": "{at}: diingatkan lagi",
        "ack_expires": "{at}: ditanyakan lagi bila belum selesai",
        "closes": "{at}: ditutup bila tetap baik",
    },
    severities={"critical": "KRITIS", "warning": "Peringatan"},
    states={"good": "baik", "bad": "bermasalah", "unknown": "tidak diketahui"},
    watched_title="Yang dipantau",
    collector_states={
        "good": "baik", "failed": "gagal: {error}", "partly": "sebagian gagal: {error}",
        "never": "belum pernah terbaca", "stale": "data basi",
    },
    ago="{ago} lalu",
    never="belum pernah",
    on_duty="Petugas jaga",
    last_accepted="Pesan terakhir diterima layanan pengirim",
    data_age="Data terakhir",
    made_at="Dibuat {at}; diperbarui sendiri tiap 30 detik.",
    unsaved="Catatan belum dapat disimpan: {error}",
    line_lost="Sejak {at} tidak ada pesan yang keluar dari mesin ini (internet putus?). "
              "Yang menunggu menyusul sendiri.",
    details="Rincian",
    first="Langkah pertama (teknisi)",
    lay="Langkah pertama (tanpa terminal)",
    fix="Perbaikan",
    take_it="Bila Anda tangani, jalankan: jaga ack {code}",
    members="Bagian",
    history="Riwayat",
    messages="Pesan",
    closed="selesai {at}",
    whats={
        "opened": "dibuka", "worsened": "memburuk", "escalated": "diteruskan", "reminded": "diingatkan",
        "ack_expired": "waktu penanganan habis", "acked": "ditangani", "unacked": "dilepas", "joined": "bertambah",
        "recurred": "kambuh", "flapping": "naik-turun", "resolved": "selesai", "closed": "ditutup",
        "undelivered": "pesan tidak sampai", "explained": "bukti dikumpulkan",
    },
    message_states={
        "sending": "sedang dikirim", "uncertain": "belum pasti", "accepted": "terkirim", "done": "terkirim",
        "failed": "ditolak", "released": "akan dikirim lagi", "unknown": "tidak pasti",
    },
    proofs={"accepted": "diterima layanan", "delivered": "sampai", "read": "dibaca", "answered": "dijawab"},
    back="Semua gangguan",
    columns={
        "code": "Kode", "severity": "Tingkat", "headline": "Masalah", "since": "Sejak", "has_it": "Ditangani",
        "next": "Berikutnya", "collector": "Pemantau", "age": "Umur data", "state": "Keadaan", "at": "Waktu",
        "what": "Kejadian", "who": "Oleh", "detail": "Keterangan", "value": "Nilai", "limit": "Batas", "to": "Kepada",
        "channel": "Kanal", "proof": "Bukti", "rule": "Aturan", "metric": "Metrik", "condition": "Bila", "sop": "SOP",
        "verdict": "Penilaian", "evidence": "Bukti", "thing": "Yang diukur", "readings": "Hasil",
        "id": "Id", "matchers": "Yang didiamkan", "until": "Sampai",
        "why": "Sebab", "begins": "Mulai",
    },
    no_page="Halaman ini tidak ada.",
    no_incident="Tidak ada gangguan dengan kode {code}.",
    no_method="Halaman ini hanya dapat dibaca.",
    broken="Halaman ini gagal dibuat; sebabnya ada di journalctl -u jaga.",
    wrong_host="Buka halaman ini dengan alamat mesin ini sendiri, misalnya http://{host}/",
    acked="{code} ditangani {who} sampai {until}.",
    unacked="{code} dilepas {who}; eskalasi berjalan lagi.",
    unknown_code="Tidak ada gangguan terbuka dengan kode {code}.",
    did_you_mean="Maksud Anda {near}?",
    open_codes="Yang terbuka: {codes}.",
    ack_too_long="Penanganan paling lama 7 hari: tulis --for 2h, misalnya.",
    silenced="Didiamkan sampai {until} ({id}); yang tercakup sekarang: {codes}.",
    silence_too_long="Diam paling lama 90 hari: tulis --for 2h, misalnya.",
    no_matcher="Tulis apa yang didiamkan, misalnya: unit=nginx",
    unknown_silence="Tidak ada satu diam dengan id {id}.",
    known_silences="Yang ada: {ids}",
    expired="Diam {id} diakhiri.",
    no_silences="Tidak ada yang didiamkan.",
    no_proposals="Tidak ada usulan: yang terlihat di minggu pertama tidak terlalu sering.",
    unknown_contact="Tidak ada kontak bernama {contact} di agent.toml.",
    known_contacts="Yang ada: {contacts}.",
    barred="Pengguna ini tidak boleh bertanya kepada Jaga ({path}).",
    let_in="Pakai sudo, atau jadi anggota grup jaga: sudo usermod -aG jaga NAMA, lalu masuk (login) lagi.",
    not_running="Jaga tidak menjawab di {path}{why}.",
    start_it="Jalankan: systemctl start jaga (atau di sini: jaga run)",
    tested="Pesan tes untuk {contact} lewat {channel}: {proof} setelah {seconds} detik.",
    test_failed="Pesan tes untuk {contact} lewat {channel} gagal: {error}",
    no_proof="belum ada bukti bahwa pesan diterima",
    forget_sure="Hapus pesan, nomor dan nama {contact} dari catatan Jaga? Ini tidak dapat dibatalkan.",
    forgotten="{contact}: {count} catatan dihapus. Hapus juga [contacts.{contact}] dari agent.toml bila masih ada.",
    unknown_collector="Tidak ada pemantau bernama {collector} di {path}.",
    known_collectors="Yang ada: {collectors}.",
    measured="diukur dalam {seconds}",
    failed="gagal: {error}",
    all_good="Semua baik.",
    some_bad="{count} masalah ditemukan.",
    needs_history="perlu riwayat",
    because="akibat dari",
    duty_until="Yang berjaga: {who}, sampai {until}.",
    duty_always="Yang berjaga: {who}. Tidak ada pergantian.",
    duty_whys={"alone": "tetap", "rotation": "giliran", "override": "pengganti"},
    conditions={
        "above": "di atas {threshold}", "below": "di bawah {threshold}",
        "increase": "naik lebih dari {threshold} dalam {window}",
        "forecast": "diperkirakan mencapai {limit} dalam waktu kurang dari {threshold}",
        "absent": "tanpa kabar lebih dari {threshold}",
    },
    when_held="selama {hold}",
    only_where="{label}: {patterns}",
)

EN = Wording(
    open_title="Open problems",
    nothing_open="No problems: everything that is watched was read and is good.",
    none_open="No problem is open.",
    not_all_known="No problem is open, but not everything could be read (see below).",
    nobody_has_it="nobody yet",
    has_it="{who} until {until}",
    nexts={
        "told": "{at}: {to} is told",
        "explained": "caused by {because}; told if it outlasts that",
        "escalated": "{at}: passed on to {to}",
        "reminded": "{at}: reminded again",
        "ack_expires": "{at}: asked again if it is not over",
        "closes": "{at}: closed if it stays good",
    },
    severities={"critical": "CRITICAL", "warning": "Warning"},
    states={"good": "good", "bad": "bad", "unknown": "unknown"},
    watched_title="What is watched",
    collector_states={
        "good": "good", "failed": "failed: {error}", "partly": "partly failed: {error}", "never": "never read yet",
        "stale": "stale data",
    },
    ago="{ago} ago",
    never="never",
    on_duty="On duty",
    last_accepted="Last message accepted by its provider",
    data_age="Newest data",
    made_at="Made {at}; refreshes itself every 30 seconds.",
    unsaved="Records cannot be stored: {error}",
    line_lost="Since {at} no message has left this machine (is its internet down?). What waits follows by itself.",
    details="Details",
    first="First step (technician)",
    lay="First step (without a terminal)",
    fix="Fix",
    take_it="If you take it, run: jaga ack {code}",
    members="Parts",
    history="History",
    messages="Messages",
    closed="over {at}",
    whats={
        "opened": "opened", "worsened": "got worse", "escalated": "passed on", "reminded": "reminded",
        "ack_expired": "acknowledgement ran out", "acked": "taken", "unacked": "given back", "joined": "grew",
        "recurred": "came back", "flapping": "up and down", "resolved": "resolved", "closed": "closed",
        "undelivered": "message did not arrive", "explained": "evidence gathered",
    },
    message_states={
        "sending": "being sent", "uncertain": "not certain yet", "accepted": "sent", "done": "sent",
        "failed": "refused", "released": "to be sent again", "unknown": "not certain",
    },
    proofs={"accepted": "accepted", "delivered": "delivered", "read": "read", "answered": "answered"},
    back="All problems",
    columns={
        "code": "Code", "severity": "Severity", "headline": "Problem", "since": "Since", "has_it": "Who has it",
        "next": "Next", "collector": "Collector", "age": "Age of data", "state": "State", "at": "Time",
        "what": "Event", "who": "By", "detail": "Detail", "value": "Value", "limit": "Limit", "to": "To",
        "channel": "Channel", "proof": "Proof", "rule": "Rule", "metric": "Metric", "condition": "When", "sop": "SOP",
        "verdict": "Verdict", "evidence": "Evidence", "thing": "What", "readings": "Readings",
        "id": "Id", "matchers": "What is silent", "until": "Until",
        "why": "Why", "begins": "From",
    },
    no_page="There is no such page.",
    no_incident="There is no problem with the code {code}.",
    no_method="This page can only be read.",
    broken="This page could not be made; journalctl -u jaga says why.",
    wrong_host="Open this page by this machine's own address, such as http://{host}/",
    acked="{who} has {code} until {until}.",
    unacked="{who} gave {code} back; escalation goes on.",
    unknown_code="No open problem has the code {code}.",
    did_you_mean="Did you mean {near}?",
    open_codes="Open: {codes}.",
    ack_too_long="An acknowledgement lasts at most 7 days: write --for 2h, for example.",
    silenced="Silenced until {until} ({id}); covers now: {codes}.",
    silence_too_long="A silence lasts at most 90 days: write --for 2h, for example.",
    no_matcher="Say what to silence, such as: unit=nginx",
    unknown_silence="No single silence has the id {id}.",
    known_silences="There are: {ids}",
    expired="The silence {id} is over.",
    no_silences="Nothing is silenced.",
    no_proposals="Nothing is proposed: what the first week saw was not too often.",
    unknown_contact="There is no contact named {contact} in agent.toml.",
    known_contacts="There is {contacts}.",
    barred="This user may not speak to Jaga ({path}).",
    let_in="Use sudo, or join the group jaga: sudo usermod -aG jaga NAME, then log in again.",
    not_running="Jaga does not answer at {path}{why}.",
    start_it="Run: systemctl start jaga (or here: jaga run)",
    tested="Test message for {contact} by {channel}: {proof} after {seconds} s.",
    test_failed="Test message for {contact} by {channel} failed: {error}",
    no_proof="no proof yet that it was accepted",
    forget_sure="Erase the messages, numbers and name of {contact} from Jaga's records? This cannot be undone.",
    forgotten="{contact}: {count} records erased. Remove [contacts.{contact}] from agent.toml too, if it is there.",
    unknown_collector="There is no collector named {collector} in {path}.",
    known_collectors="There is {collectors}.",
    measured="measured in {seconds}",
    failed="failed: {error}",
    all_good="All good.",
    some_bad="Problems found: {count}.",
    needs_history="needs history",
    because="because of",
    duty_until="On call: {who}, until {until}.",
    duty_always="On call: {who}. Nobody takes over.",
    duty_whys={"alone": "always", "rotation": "turn", "override": "override"},
    conditions={
        "above": "above {threshold}", "below": "below {threshold}",
        "increase": "grows by more than {threshold} within {window}",
        "forecast": "expected to reach {limit} in less than {threshold}",
        "absent": "no word for more than {threshold}",
    },
    when_held="for {hold}",
    only_where="{label}: {patterns}",
)


def wording(language: str) -> Wording:
    """The phrases of a language; Indonesian where it is not known."""
    return EN if language == "en" else ID
