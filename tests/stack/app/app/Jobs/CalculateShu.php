<?php
namespace App\Jobs;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Queue\InteractsWithQueue;

class CalculateShu implements ShouldQueue
{
    use InteractsWithQueue, Queueable;

    public function __construct(public int $number, public int $seconds = 1)
    {
    }

    public function handle(): void
    {
        throw new \RuntimeException('SHU anggota Siti Rahmawati (siti@koperasi.test, 081234567890) sebesar Rp 1.250.000 gagal dihitung');
    }
}
