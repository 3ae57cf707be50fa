#!/usr/bin/env bash
# Makes the authority, certificate and key of the TLS test: good for a hundred years, for localhost, and for nothing else.
set -euo pipefail
cd "$(dirname "$0")"
curve=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500)
openssl req -x509 "${curve[@]}" -subj '/CN=hedgecore test authority' -keyout authority.key -out authority.pem
openssl req "${curve[@]}" -subj '/CN=localhost' -keyout server.key -out server.csr
openssl x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 36500 -out server.pem \
  -extfile <(printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n')
rm -f authority.key authority.srl server.csr
