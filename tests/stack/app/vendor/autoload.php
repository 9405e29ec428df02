<?php
// What composer would write: Illuminate lies under vendor/laravel/framework, so that traces read as on a server; the rest is Debian's.
spl_autoload_register(function (string $class): void {
    $illuminate = __DIR__.'/laravel/framework/src/Illuminate/';
    $places = [
        'App\\' => [dirname(__DIR__).'/app/'],
        'Illuminate\\Support\\' => [$illuminate.'Support/', $illuminate.'Collections/', $illuminate.'Macroable/'],
        'Illuminate\\' => [$illuminate],
    ];
    foreach ($places as $prefix => $folders) {
        foreach (str_starts_with($class, $prefix) ? $folders : [] as $folder) {
            $file = $folder.strtr(substr($class, strlen($prefix)), '\\', '/').'.php';
            if (is_file($file)) {
                require $file;
                return;
            }
        }
    }
}, true, true);
foreach (['Collections', 'Support', 'Foundation'] as $part) {
    require_once __DIR__."/laravel/framework/src/Illuminate/$part/helpers.php";
}
require_once 'Illuminate/autoload.php';
