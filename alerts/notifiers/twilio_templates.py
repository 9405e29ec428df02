"""The message templates that are submitted to WhatsApp, as data: a wrong one costs days of waiting for approval."""

import re
from typing import Any

import msgspec

from alerts.notifiers.fitting import length

TAP = "ok"  # what a tapped button carries to the webhook, as ButtonPayload: the answer that a person would type
CATEGORY = "UTILITY"


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A message template as it is to be submitted: a fixed beginning and end, no two variables side by side."""

    name: str
    language: str
    body: str
    samples: tuple[str, ...]
    button: str  # the text to tap; by polling it is all that comes back

    @property
    def fixed(self) -> int:
        """The length of what is not a variable, in UTF-16 code units."""
        return length(re.sub(r"\{\{\d+\}\}", "", self.body))

    def content(self) -> dict[str, Any]:
        """The body of `POST /v1/Content`."""
        variables = {str(number): sample for number, sample in enumerate(self.samples, 1)}
        tap = {"type": "QUICK_REPLY", "title": self.button, "id": TAP}
        return {"friendly_name": self.name, "language": self.language, "variables": variables,
                "types": {"twilio/quick-reply": {"body": self.body, "actions": [tap]}}}


TEMPLATES = {
    "id": Template(name="jaga_kabar_id", language="id", body=(
        "Jaga melaporkan: {{1}}\nWaktu: {{2}}\nLangkah pertama: {{3}}\nMenjawab: {{4}}\nTanda pesan: {{5}}\n"
        "Pesan otomatis dari Jaga, penjaga sistem koperasi."), samples=(
        "KRITIS: Disk / terisi 93 %", "Sejak 02.14 WIB (12 menit)", "Hapus log lama di /var/log",
        'Balas "ok K7M" bila Anda tangani.', "K7M-1"), button="Saya tangani"),
    "en": Template(name="jaga_news_en", language="en", body=(
        "Jaga reports: {{1}}\nTime: {{2}}\nFirst step: {{3}}\nTo answer: {{4}}\nMessage mark: {{5}}\n"
        "An automatic message from Jaga, the cooperative's watch."), samples=(
        "CRITICAL: Disk / is 93% full", "Since 02:14 WIB (12 min)", "Delete old logs in /var/log",
        'Reply "ok K7M" if you take it.', "K7M-1"), button="I have it"),
}
FALLBACK = Template(name="jaga_kode", language="id", body=(
    "Jaga punya kabar tentang masalah {{1}} yang isinya tidak dapat dikirim. Lihat di halaman Jaga, atau jalankan: "
    "jaga incidents. (Jaga has news of this problem; look it up by its code.)"), samples=("K7M-1",),
    button="Saya tangani")
OPTIONS = {"template": TEMPLATES["id"], "template_en": TEMPLATES["en"], "fallback_template": FALLBACK}  # by option
