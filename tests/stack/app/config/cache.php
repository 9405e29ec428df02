<?php
return ['default' => 'file', 'prefix' => 'koperasi_cache', 'stores' => ['file' => ['driver' => 'file', 'path' => storage_path('framework/cache/data')]]];
