<?php
namespace App\Console\Commands;

use Illuminate\Console\Command;

class PushJobs extends Command
{
    protected $signature = 'koperasi:push {job : a class of App\Jobs} {count=1} {--on=database} {--queue=default} {--delay=0} {--seconds=1}';
    protected $description = 'Push so many jobs';

    public function handle(): void
    {
        $class = 'App\\Jobs\\'.$this->argument('job');
        for ($number = 1; $number <= (int) $this->argument('count'); $number++) {
            dispatch(new $class($number, (int) $this->option('seconds')))->onConnection($this->option('on'))
                ->onQueue($this->option('queue'))->delay((int) $this->option('delay') ?: null);
        }
    }
}
