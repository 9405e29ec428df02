<?php
// The routes of the small koperasi: a page from the database, a login that fails, exceptions of several classes, slowness.

use App\Exceptions\PaymentException;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Log;
use Illuminate\Support\Facades\Route;

Route::get('/', function () {
    $name = DB::table('settings')->where('key', 'koperasi_name')->value('value');
    $products = DB::table('products')->orderBy('name')->get();
    $rows = $products->map(fn ($each) => "<tr><td>$each->name</td><td>Rp ".number_format($each->price, 0, ',', '.').'</td></tr>')->join("\n");
    return "<!doctype html>\n<html lang=\"id\"><title>$name</title>\n<h1>$name</h1>\n<p>Selamat datang di toko kami.</p>\n<table>\n$rows\n</table>\n</html>\n";
});
Route::get('/up', fn () => 'ok');
Route::get('/login', fn () => '<!doctype html><title>Masuk</title><form method="post"><input name="email"><input name="password" type="password"></form>');
Route::post('/login', fn () => redirect('/login'));  // as the app: a wrong password is a redirect to where it came from, and no audit row
Route::get('/slow', fn (Request $request) => DB::select('select name, sleep(?) from users where email = ?', [(float) $request->query('seconds', 4), 'siti@koperasi.test']));
Route::get('/log/{level}', function (Request $request, string $level) {
    Log::log($level, $request->query('message', 'Struk dicetak'));
    return 'ok';
});
Route::get('/throw/{kind}', function (Request $request, string $kind) {
    return match ($kind) {
        'runtime' => throw new RuntimeException('Struk untuk siti@koperasi.test (0812-3456-7890, NIK 3275011203850001) sebesar Rp 1.250.000 gagal dikirim'),
        'payment' => throw new PaymentException('Pembayaran TRX-20260118-0001 sebesar Rp 250.000,00 ditolak', 402,
            new LogicException('Kunci tanda tangan untuk budi@koperasi.test tidak cocok')),
        'type' => strlen(['081234567890']),
        'missing-table' => DB::table('laporan_shu')->where('email', 'siti@koperasi.test')->where('amount', 1250000)->get(),
        // what the app's own webhook does: 'failed' is not in the ENUM
        'status' => DB::table('transactions')->where('status', 'pending')->update(['status' => 'failed', 'notes' => 'Siti, 081234567890']),
        'lines' => throw new DomainException("Jurnal tidak seimbang:\nDebet Rp 1.000.000\nKredit Rp 999.999\n\nanggota siti@koperasi.test"),
        'forged' => throw new DomainException("nama tidak sah:\n[".now()->format('Y-m-d H:i:s').'] production.EMERGENCY: database dihapus'),
        'memory' => str_repeat('x', 1 << 40),
    };
});
