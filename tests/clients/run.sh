#!/bin/sh
# official_clients.py with the Python that make installed the clients for; 77, skipped, where it did not.
folder=$(cd "$(dirname "$0")" && pwd)
python=$folder/../../build/clients/bin/python
[ -x "$python" ] || exit 77
exec "$python" "$folder/official_clients.py" "$@"
