#!/bin/sh
# Makes the certificates of this folder anew (openssl 3). For tests only; the key is no secret.
#   ca.pem        the authority, valid from 2020 to 2120
#   good.pem/key  web.test, 127.0.0.1 and ::1, signed by it
#   expired.pem   the same, expired in 2001
#   alone.pem     the same, signed by itself
set -e
cd "$(dirname "$0")"
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
request() { openssl req -new -key "$1" -subj "/CN=$2" -out "$3"; }
sign() { # request, first day, last day, extensions, result, signing options
    request=$1 from=$2 to=$3 extensions=$4 out=$5
    shift 5
    openssl ca -batch -config work/conf -in "$request" -notext \
        -startdate "${from}0101000000Z" -enddate "${to}0101000000Z" \
        -extfile "$extensions" -out "$out" "$@"
}
mkdir work
: >work/index
echo 'unique_subject = no' >work/index.attr
echo 01 >work/serial
printf '%s\n' '[ca]' 'default_ca=d' '[d]' 'database=work/index' 'serial=work/serial' \
    'new_certs_dir=work' 'default_md=sha256' 'policy=p' '[p]' 'commonName=supplied' >work/conf
printf '%s\n' 'basicConstraints=critical,CA:TRUE' >work/authority
printf '%s\n' 'subjectAltName=DNS:web.test,IP:127.0.0.1,IP:::1' 'basicConstraints=CA:FALSE' >work/server
key work/ca.key
key good.key
request work/ca.key 'lvsmon test authority' work/ca.request
request good.key web.test work/request
sign work/ca.request 2020 2120 work/authority ca.pem -selfsign -keyfile work/ca.key
sign work/request 2020 2119 work/server good.pem -cert ca.pem -keyfile work/ca.key
sign work/request 2000 2001 work/server expired.pem -cert ca.pem -keyfile work/ca.key
sign work/request 2020 2119 work/server alone.pem -selfsign -keyfile good.key
rm -rf work
