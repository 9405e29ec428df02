<?php
namespace App\Jobs;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Queue\InteractsWithQueue;
use Illuminate\Support\Facades\Log;

class SendReceipt implements ShouldQueue
{
    use InteractsWithQueue, Queueable;

    public function __construct(public int $number, public int $seconds = 1)
    {
    }

    public function handle(): void
    {
        Log::info('Struk WhatsApp terkirim', ['number' => $this->number]);
    }
}
