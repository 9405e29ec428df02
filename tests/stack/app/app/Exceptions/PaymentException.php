<?php
namespace App\Exceptions;

class PaymentException extends \RuntimeException
{
}
