#!/bin/sh
# Copyright (c) 2026 The waba.flows authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Read, compare, publish and read back one number; xargs runs this once a number.
# Arguments: phone-number ID, file with the header Authorization. BASE_URL, KEY_FILE and KEY_IN_JSON are in the environment.

set -eu

url="$BASE_URL/v24.0/$1/whatsapp_business_encryption"
header="@$2"

is_done() {
  case "$(curl --silent --show-error --fail --header "$header" "$url")" in
    *"$KEY_IN_JSON"*'"VALID"'*) return 0 ;;
    *) return 1 ;;
  esac
}

if ! is_done; then
  curl --silent --show-error --fail --header "$header" --data-urlencode "business_public_key@$KEY_FILE" --output /dev/null "$url"
  is_done
fi
