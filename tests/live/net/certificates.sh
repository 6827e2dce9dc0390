#!/bin/sh
# Makes every certificate and key that the network tests need, in the directory given. Needs openssl 3.
set -eu
cd "$1"
curve='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'

authority() {
    openssl req -x509 $curve -keyout "$1.key" -out "$1.pem" -days 30 -subj "/CN=casehook test $1" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign 2>/dev/null
}

# signed NAME AUTHORITY EXTENSIONS [options of openssl x509]
signed() {
    name=$1 authority=$2 extensions=$3
    shift 3
    openssl req $curve -keyout "$name.key" -out "$name.csr" -subj "/CN=$name.test" 2>/dev/null
    printf 'basicConstraints=CA:FALSE\n%b\n' "$extensions" > "$name.ext"
    openssl x509 -req -in "$name.csr" -CA "$authority.pem" -CAkey "$authority.key" -CAcreateserial \
        -extfile "$name.ext" -out "$name.pem" "$@" 2>/dev/null
}

names='subjectAltName=DNS:localhost,IP:127.0.0.1'
server='extendedKeyUsage=serverAuth'
client='extendedKeyUsage=clientAuth'

authority ca
authority stranger
signed good ca "$server\n$names" -days 30
signed wronghost ca "$server\nsubjectAltName=DNS:elsewhere.test" -days 30
signed untrusted stranger "$server\n$names" -days 30
signed client ca "$client" -days 90
signed soon ca "$client" -days 10
signed foreign stranger "$client" -days 90

# `openssl ca` alone takes dates in the past.
cat > ca.cnf <<END
[ca]
default_ca=d
[d]
database=index.txt
new_certs_dir=.
serial=serial
default_md=sha256
policy=p
unique_subject=no
[p]
commonName=supplied
[server]
basicConstraints=CA:FALSE
$server
$names
[client]
basicConstraints=CA:FALSE
$client
END
: > index.txt
echo 1000 > serial
past() {
    openssl req $curve -keyout "$1.key" -out "$1.csr" -subj "/CN=$1.test" 2>/dev/null
    openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -in "$1.csr" -out "$1.pem" -notext \
        -extensions "$2" -startdate 20200101000000Z -enddate 20200201000000Z 2>/dev/null
}
past expired server
past lapsed client

# Servers that vouch for themselves: as an authority, and with nothing but a common name.
openssl req -x509 $curve -keyout selfsigned.key -out selfsigned.pem -days 30 -subj /CN=localhost \
    -addext "$names" 2>/dev/null
openssl req $curve -keyout commonname.key -out commonname.csr -subj /CN=localhost 2>/dev/null
printf 'basicConstraints=CA:FALSE\n' > commonname.ext
openssl x509 -req -in commonname.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile commonname.ext \
    -out commonname.pem -days 30 2>/dev/null

# The client's key in every form, and one more certificate for RSA.
openssl pkey -in client.key -aes256 -passout pass:opensesame -out client.pkcs8.aes.key
openssl pkcs8 -topk8 -in client.key -v2 des3 -passout pass:opensesame -out client.pkcs8.des3.key
openssl ec -in client.key -out client.sec1.key 2>/dev/null
openssl ec -in client.key -aes128 -passout pass:opensesame -out client.sec1.aes.key 2>/dev/null
openssl ec -in client.key -des3 -passout pass:opensesame -out client.sec1.des3.key 2>/dev/null
openssl pkcs12 -export -inkey client.key -in client.pem -certfile ca.pem -passout pass:opensesame -out client.modern.p12
openssl pkcs12 -export -legacy -inkey client.key -in client.pem -passout pass:opensesame -out client.legacy.p12
openssl pkcs12 -export -inkey client.key -in client.pem -passout pass: -out client.nopass.p12
openssl req -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.csr -subj /CN=rsa.test 2>/dev/null
printf 'basicConstraints=CA:FALSE\n%s\n' "$client" > rsa.ext
openssl x509 -req -in rsa.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile rsa.ext -out rsa.pem -days 90 2>/dev/null
openssl rsa -in rsa.key -traditional -out rsa.pkcs1.key 2>/dev/null
openssl rsa -in rsa.key -traditional -aes256 -passout pass:opensesame -out rsa.pkcs1.aes.key 2>/dev/null
chmod 755 .
chmod 644 ./*
