<?php
namespace App\Jobs;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Queue\InteractsWithQueue;

class CloseMonth implements ShouldQueue
{
    use InteractsWithQueue, Queueable;

    public function __construct(public int $number, public int $seconds = 1)
    {
    }

    public function handle(): void
    {
        sleep($this->seconds);
    }
}
