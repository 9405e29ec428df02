"""Figures are read at a glance, in both languages, and never round a fact away."""

import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.figures import ago, clock, rupiah, show

JAKARTA = ZoneInfo("Asia/Jakarta")
NIGHT = 1795374840.0  # 2026-11-22 19:14 UTC, a Sunday: Monday 02:14 in Jakarta

SHOWN = [
    ("jaga_disk_used_ratio", 0.93, "93 %", "93 %"),
    ("jaga_disk_used_ratio", 0.804, "80,4 %", "80.4 %"),
    ("jaga_disk_used_ratio", 0.04267, "4,3 %", "4.3 %"),
    ("jaga_disk_used_ratio", 0.0, "0 %", "0 %"),
    ("jaga_disk_used_ratio", 0.0001, "< 0,1 %", "< 0.1 %"),
    ("jaga_disk_used_ratio", 0.99999, "99,9 %", "99.9 %"),
    ("jaga_disk_used_ratio", 1.0, "100 %", "100 %"),
    ("jaga_load_ratio", 12.5, "1.250 %", "1,250 %"),
    ("jaga_file_room_ratio", 1_600_000.0, "1.600.000 ×", "1,600,000 ×"),
    ("jaga_probe_seconds", 0.0, "0 detik", "0 s"),
    ("jaga_probe_seconds", 0.25, "250 ms", "250 ms"),
    ("jaga_probe_seconds", 0.0001, "1 ms", "1 ms"),
    ("jaga_probe_seconds", 2.54, "2,5 detik", "2.5 s"),
    ("jaga_probe_seconds", 42, "42 detik", "42 s"),
    ("jaga_probe_seconds", 59.7, "1 menit", "1 min"),
    ("jaga_probe_seconds", 720, "12 menit", "12 min"),
    ("jaga_probe_seconds", 725, "12 menit 5 detik", "12 min 5 s"),
    ("jaga_full_in_seconds", 12000, "3 jam 20 menit", "3 h 20 min"),
    ("jaga_full_in_seconds", 97200, "1 hari 3 jam", "1 d 3 h"),
    ("jaga_full_in_seconds", 86399, "1 hari", "1 d"),
    ("jaga_full_in_seconds", 1500 * 86400, "1.500 hari", "1,500 d"),
    ("jaga_offset_seconds", -90, "-1 menit 30 detik", "-1 min 30 s"),
    ("jaga_cpu_seconds_total", 60, "1 menit", "1 min"),
    ("jaga_folder_bytes", 0, "0 B", "0 B"),
    ("jaga_folder_bytes", 1023, "1.023 B", "1,023 B"),
    ("jaga_folder_bytes", 1.2 * 2**30, "1,2 GiB", "1.2 GiB"),
    ("jaga_folder_bytes", 512 * 2**20, "512 MiB", "512 MiB"),
    ("jaga_folder_bytes", 1023.99 * 2**20, "1 GiB", "1 GiB"),
    ("jaga_folder_bytes", 2.0**70, "1.048.576 PiB", "1,048,576 PiB"),
    ("jaga_folder_growth_bytes_per_second", 1.5 * 2**20, "1,5 MiB/s", "1.5 MiB/s"),
    ("jaga_errors_per_second", 1.25, "1,25/s", "1.25/s"),
    ("jaga_queue_jobs", 1234, "1.234", "1,234"),
    ("jaga_load", 1.534, "1,53", "1.53"),
    ("jaga_load", 0.004, "0,004", "0.004"),
    ("jaga_load", -0.0, "0", "0"),
    ("jaga_midtrans_balance_rupiah", 1234567, "Rp 1.234.567", "Rp 1.234.567"),
    ("jaga_cpu_celsius", 71.26, "71,3 °C", "71.3 °C"),
    ("jaga_backup_last_timestamp_seconds", NIGHT, "02.14 WIB", "02:14 WIB"),
    ("jaga_full_in_seconds", math.inf, "tak terbatas", "unlimited"),
    ("jaga_load", -math.inf, "-tak terbatas", "-unlimited"),
    ("jaga_load", math.nan, "tidak diketahui", "unknown"),
]


@pytest.mark.parametrize(("metric", "value", "indonesian", "english"), SHOWN)
def test_a_value_is_shown_in_the_unit_that_its_metric_names(metric, value, indonesian, english):
    shown = [show(metric, value, language, zone=JAKARTA, now=NIGHT + 60) for language in ("id", "en")]
    assert shown == [indonesian, english]


@pytest.mark.parametrize(("value", "text"), [
    (0, "Rp 0"), (999, "Rp 999"), (1234567, "Rp 1.234.567"), (-1500.4, "-Rp 1.500"), (math.nan, "Rp ?"),
])
def test_money_is_whole_rupiah_with_points(value, text):
    assert rupiah(value) == text


@pytest.mark.parametrize(("at", "zone", "language", "text"), [
    (NIGHT, "Asia/Jakarta", "id", "02.14 WIB"),
    (NIGHT, "Asia/Jakarta", "en", "02:14 WIB"),
    (NIGHT, "Asia/Makassar", "id", "03.14 WITA"),
    (NIGHT, "Asia/Jayapura", "id", "04.14 WIT"),
    (NIGHT, "Europe/Berlin", "id", "20.14 CET"),
    (NIGHT, "America/Sao_Paulo", "en", "16:14 UTC-03"),
    (NIGHT - 86400 * 2, "Asia/Jakarta", "id", "Sab 21 Nov 02.14 WIB"),
    (NIGHT - 86400 * 2, "Asia/Jakarta", "en", "Sat 21 Nov 02:14 WIB"),
    (NIGHT + 86400 * 60, "Asia/Jakarta", "id", "Jum 22 Jan 2027 02.14 WIB"),
    (NIGHT + 86400 * 60, "Asia/Jakarta", "xx", "Jum 22 Jan 2027 02.14 WIB"),
    (math.nan, "Asia/Jakarta", "id", "tidak diketahui"),
    (1e20, "Asia/Jakarta", "en", "unknown"),
])
def test_a_time_is_the_sites_own_and_names_the_day_when_it_is_another(at, zone, language, text):
    assert clock(at, ZoneInfo(zone), language, NIGHT + 600) == text


@pytest.mark.parametrize(("seconds", "indonesian", "english"), [
    (-5, "kurang dari 1 menit", "under 1 min"),
    (59, "kurang dari 1 menit", "under 1 min"),
    (779, "12 menit", "12 min"),
    (12059, "3 jam 20 menit", "3 h 20 min"),
    (math.inf, "tidak diketahui", "unknown"),
])
def test_how_long_it_has_been_is_told_to_the_minute(seconds, indonesian, english):
    assert [ago(seconds), ago(seconds, "en")] == [indonesian, english]


SUFFIXES = ["_ratio", "_seconds", "_bytes", "_bytes_per_second", "_timestamp_seconds", "_rupiah", "_total", ""]


@given(st.sampled_from(SUFFIXES), st.floats(), st.sampled_from(["id", "en"]))
def test_any_number_can_be_shown_and_something_is_never_shown_as_nothing(suffix, value, language):
    text = show("jaga_x" + suffix, value, language, zone=JAKARTA, now=NIGHT)
    assert text.strip() == text != ""
    if value > 0 and suffix in ("_ratio", "_seconds", "_total", ""):
        assert any(digit in text for digit in "123456789") or math.isinf(value)
