"""What Jaga answers to people who write to it, in both languages; `alerts.words` fills the placeholders in braces."""

ID = {
    "taken": "Siap, {codes} Anda tangani sampai {until}. Pengingat berhenti sampai saat itu.",
    "which": "Ada {count} masalah terbuka. Balas ok dan kodenya, atau ok semua:",
    "nothing_open": "Tidak ada masalah terbuka.",
    "nothing_to_take": "Semua masalah terbuka sudah ada yang menangani:",
    "refused": "Baik, {codes} diteruskan ke orang berikutnya sekarang.",
    "escalated": "{codes} diteruskan ke orang berikutnya sekarang.",
    "given_back": "{codes} dilepas; Jaga mencari orang berikutnya lagi.",
    "silenced": "{codes} didiamkan sampai {until}. Yang lebih parah tetap dikirim.",
    "closed": "{codes} dicatat selesai. Bila ternyata masih bermasalah, Jaga memberi tahu lagi.",
    "over": "{codes} sudah selesai.",
    "status": "{count} masalah terbuka:",
    "who": "Yang berjaga sekarang: {who}.",
    "near": "Maksud Anda {near}? Kalau ya, balas: ok {near}",
    "unknown_code": "Tidak ada masalah terbuka dengan kode {codes}.",
    "name_needed": "HP ini dipakai bersama: tulis juga nama Anda, misalnya: {deed} {code} {name}",
    "media": "Maaf, Jaga hanya bisa membaca teks. Balas ok dan kode masalahnya, atau: bantuan",
    "unclear": "Maaf, belum paham. Balas ok dan kode masalahnya bila Anda tangani, tidak bisa bila bukan, "
               "atau: bantuan",
    "help": "Balas: ok KODE (saya tangani) · tidak bisa KODE (teruskan) · status · siapa (yang berjaga) · "
            "diam KODE 2j · lanjut KODE (lepas) · eskalasi KODE · selesai KODE",
    "signed": "Tercatat: {row}, oleh {who}.",
    "signed_left": "Tercatat: {row}, oleh {who}. Masih perlu: {left}.",
    "signed_before": "Sudah tercatat: {row}, oleh {who}.",
    "unknown_row": "Baris {row} tidak ada di daftar pagi. Yang perlu ditandatangani: {left}.",
    "name_needed_to_sign": "HP ini dipakai bersama: tulis juga nama Anda, misalnya: {row} ok {name}",
    "nothing_to_sign": "Tidak ada yang perlu ditandatangani sekarang.",
    "proof": "Uji mingguan: balas pesan ini dengan: status. Dengan begitu terbukti pesan Jaga sampai dan jawaban "
             "Anda terbaca.",
    "proof_overdue": "{who} belum membalas uji mingguan Jaga lewat {channel} (dikirim {at}). Mungkin pesan Jaga tidak "
                     "sampai: telepon {who}, lalu periksa kanal itu.",
    "proof_answered": "{who} sudah membalas uji mingguan Jaga lewat {channel}.",
    "duty_begins": "Giliran jaga: mulai sekarang Anda. {open}",
    "duty_begins_until": "Giliran jaga: mulai sekarang Anda (sampai {until}). {open}",
    "duty_ends": "Giliran jaga Anda selesai; sekarang {who}. {open}",
    "duty_open": "Yang masih terbuka: {codes}.",
    "duty_calm": "Tidak ada masalah terbuka.",
    "open": "{code} {headline}",
    "held_by": "{code} {headline} (ditangani {who})",
}

EN = {
    "taken": "Good, {codes} is yours until {until}. No reminders until then.",
    "which": "There are {count} open problems. Reply ok and the code, or ok all:",
    "nothing_open": "Nothing is open.",
    "nothing_to_take": "Somebody has every open problem:",
    "refused": "All right, {codes} goes to the next person now.",
    "escalated": "{codes} goes to the next person now.",
    "given_back": "{codes} is given back; Jaga looks for the next person again.",
    "silenced": "{codes} is silenced until {until}. Worse is still sent.",
    "closed": "{codes} is noted as over. If it is not, Jaga will say so again.",
    "over": "{codes} is over already.",
    "status": "{count} open:",
    "who": "On call now: {who}.",
    "near": "Did you mean {near}? If so, reply: ok {near}",
    "unknown_code": "No open problem has the code {codes}.",
    "name_needed": "Several people use this phone: write your name too, such as: {deed} {code} {name}",
    "media": "Sorry, Jaga reads text only. Reply ok and the problem's code, or: help",
    "unclear": "Sorry, that was not clear. Reply ok and the problem's code if you take it, cannot if not, or: help",
    "help": "Reply: ok CODE (I have it) · cannot CODE (pass it on) · status · who (is on call) · silence CODE 2h · "
            "give back CODE (let go) · escalate CODE · done CODE",
    "signed": "Noted: {row}, by {who}.",
    "signed_left": "Noted: {row}, by {who}. Still to be signed: {left}.",
    "signed_before": "Noted already: {row}, by {who}.",
    "unknown_row": "There is no row {row} in the morning list. To be signed: {left}.",
    "name_needed_to_sign": "Several people use this phone: write your name too, such as: {row} ok {name}",
    "nothing_to_sign": "Nothing is to be signed now.",
    "proof": "Weekly test: reply to this message with: status. That proves that Jaga's messages arrive and that your "
             "answers are read.",
    "proof_overdue": "{who} has not answered Jaga's weekly test by {channel} (sent {at}). Jaga's messages may not "
                     "arrive: call {who}, then check that channel.",
    "proof_answered": "{who} has answered Jaga's weekly test by {channel} now.",
    "duty_begins": "On call: it is your turn from now on. {open}",
    "duty_begins_until": "On call: it is your turn from now on (until {until}). {open}",
    "duty_ends": "Your turn on call is over; it is {who}'s now. {open}",
    "duty_open": "Still open: {codes}.",
    "duty_calm": "Nothing is open.",
    "open": "{code} {headline}",
    "held_by": "{code} {headline} ({who} has it)",
}

LANGUAGES = {"id": ID, "en": EN}
