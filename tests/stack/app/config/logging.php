<?php
$file = storage_path('logs/laravel.log');
return ['default' => env('LOG_CHANNEL', 'stack'), 'channels' => [
    'stack' => ['driver' => 'stack', 'channels' => ['single']],
    'single' => ['driver' => 'single', 'path' => $file, 'level' => env('LOG_LEVEL', 'debug')],
    'daily' => ['driver' => 'daily', 'path' => $file, 'level' => env('LOG_LEVEL', 'debug'), 'days' => 14],
    'emergency' => ['path' => $file],
]];
