# shellcheck shell=bash
# What the images' scripts share: variables with their defaults, the chain of times, the number of CPUs, secrets.
# A value that is not allowed ends the script with status 2 and one line.

# What a health check requests when HEALTH_PATH is not set.
# shellcheck disable=SC2034
kit_health_path=/healthz

kit_fail() {
  printf '%s: %s\n' "${kit_name:-kit}" "$*" >&2
  exit 2
}

# kit_writable FOLDER SERVICE: fails, with the command that mends it, unless the folder, in a volume that the service has,
# can be written.
kit_writable() {
  local kit_mount=$1
  [[ ! -d $1 || ! -w $1 ]] || return 0
  [[ ! $1 =~ ^(/data|/srv/[^/]+)/ ]] || kit_mount=${BASH_REMATCH[1]}
  kit_fail "$1: uid $(id -u) cannot write there. If it belongs to another user, as after a restore:" \
    "docker compose run --rm --no-deps --user 0 --cap-add CHOWN --cap-add DAC_READ_SEARCH --entrypoint chown $2" \
    "-R 10001:10001 $kit_mount"
}

# kit_variables NAME...: exports each with its value, or its default from the file `variables` when it is unset or blank.
# A value that is not allowed ends the script.
kit_variables() {
  local wanted=" $* " name default allowed
  while read -r name default allowed; do
    [[ $wanted == *" $name "* ]] || continue
    [[ -n ${!name:-} || $default == - ]] || printf -v "$name" %s "$default"
    export "$name=${!name:-}"
    [[ -z ${!name} ]] || kit_check "$name" "$allowed"
  done <"${BASH_SOURCE[0]%/*}/variables"
}

# kit_check NAME ALLOWED: a switch becomes 1 or 0.
kit_check() {
  local value=${!1}
  case $2 in
    *..*)
      if [[ ! $value =~ ^[0-9]{1,9}$ ]] || ((10#$value < ${2%..*} || 10#$value > ${2#*..})); then
        kit_fail "$1=${value@Q}: must be an integer from ${2%..*} to ${2#*..}"
      fi
      printf -v "$1" %d "$((10#$value))"
      ;;
    *'|'*) [[ $value != *'|'* && "|$2|" == *"|$value|"* ]] || kit_fail "$1=${value@Q}: must be one of ${2//|/, }" ;;
    size) [[ $value =~ ^([0-9]{1,12}|[0-9]{1,9}[kKmMgG])$ ]] || kit_fail "$1=${value@Q}: must be a size such as 80m" ;;
    switch)
      case ${value,,} in
        1 | true | yes | on) printf -v "$1" 1 ;;
        0 | false | no | off) printf -v "$1" 0 ;;
        *) kit_fail "$1=${value@Q}: must be 1 or 0 (or true, yes, on; false, no, off)" ;;
      esac
      ;;
  esac
}

# kit_octets SIZE: prints a size such as 80m in octets.
kit_octets() {
  local number=$((10#${1%[kKmMgG]}))
  case ${1,,} in
    *k) ((number <<= 10)) || true ;;
    *m) ((number <<= 20)) || true ;;
    *g) ((number <<= 30)) || true ;;
  esac
  printf '%d\n' "$number"
}

# kit_read NAME FILE: sets NAME to what the file contains, or to nothing if it cannot be read. Unlike $(<FILE) it starts no
# process, which matters in what runs every few seconds.
kit_read() {
  printf -v "$1" %s ''
  [[ ! -r $2 ]] || IFS= read -r -d '' "$1" <"$2" || true
}

# kit_pause SECONDS: waits, without a process either.
kit_pause() {
  # a pipe that nobody writes to
  [[ -n ${kit_silence:-} ]] || exec {kit_silence}<> <(:)
  read -r -t "$1" -u "$kit_silence" || true
}

# kit_room FOLDER: prints the size of the file system that holds the folder, in octets.
kit_room() {
  local blocks size
  read -r blocks size < <(stat -f -c '%b %S' "$1")
  printf '%d\n' "$((blocks * size))"
}

# kit_body_sizes FOLDER: exports MAX_BODY_SIZE and UPLOAD_SIZE in octets, UPLOAD_SIZE as the larger of the two. A body that
# the folder, in which bodies are gathered, could never hold ends the script here, not each such request with an error.
kit_body_sizes() {
  local name octets room
  kit_variables MAX_BODY_SIZE UPLOAD_SIZE
  room=$(kit_room "$1")
  for name in MAX_BODY_SIZE UPLOAD_SIZE; do
    octets=$(kit_octets "${!name}")
    ((octets > 0 && octets <= room)) ||
      kit_fail "$name=${!name@Q}: must be from 1 to $((room >> 20))m, the size of $1 (BODY_ROOM in docker-compose.yml)"
    printf -v "$name" %d "$octets"
  done
  ((UPLOAD_SIZE >= MAX_BODY_SIZE)) || UPLOAD_SIZE=$MAX_BODY_SIZE
}

# kit_names: exports NODE_NAME and REPLICA_NAME, which need no escaping in any log.
kit_names() {
  local name
  kit_variables NODE_NAME REPLICA_NAME
  for name in NODE_NAME REPLICA_NAME; do
    [[ ${!name} =~ ^[A-Za-z0-9._:/@-]{0,128}$ ]] ||
      kit_fail "$name=${!name@Q}: must be at most 128 letters, digits and any of . _ : / @ -"
  done
}

# kit_memory [CGROUP_ROOT]: prints the container's memory limit in octets; 0: none.
kit_memory() {
  local root=${1:-/sys/fs/cgroup} limit=0
  if [[ -r $root/memory.max ]]; then
    read -r limit <"$root/memory.max"
  elif [[ -r $root/memory/memory.limit_in_bytes ]]; then
    read -r limit <"$root/memory/memory.limit_in_bytes"
  fi
  # cgroup 1 has no word for "none": the largest multiple of a page
  [[ $limit =~ ^[0-9]{1,16}$ ]] || limit=0
  printf '%d\n' "$limit"
}

# kit_times: exports the chain of times, from the file `times`.
kit_times() {
  local name sum value
  local -A kit_chain=()
  kit_variables REQUEST_TIMEOUT DRAIN_DELAY
  while IFS='=' read -r name sum; do
    name=${name% }
    [[ $name =~ ^[A-Z_]+$ ]] || continue
    value=$((sum))
    ((value > ${kit_chain[$name]:-0})) || continue
    kit_chain[$name]=$value
    export "$name=$value"
  done <"${BASH_SOURCE[0]%/*}/times"
  # compose cannot add, so it passes on the period that it was given. One that would cut a stop short is refused.
  local given=${STOP_GRACE_PERIOD:-}
  [[ -z $given ]] && return
  [[ $given =~ ^[0-9]{1,9}s$ ]] || kit_fail "STOP_GRACE_PERIOD=${given@Q}: must be whole seconds, such as ${STOP_GRACE}s"
  ((10#${given%s} >= STOP_GRACE)) ||
    kit_fail "STOP_GRACE_PERIOD=${given@Q}: must be at least ${STOP_GRACE}s with REQUEST_TIMEOUT=$REQUEST_TIMEOUT"
}

# kit_cpus [CGROUP_ROOT]: prints how many CPUs this container may use: its quota, rounded up.
kit_cpus() {
  local root=${1:-/sys/fs/cgroup} quota=max period=100000 cpus
  cpus=$(nproc)
  if [[ -r $root/cpu.max ]]; then
    read -r quota period <"$root/cpu.max"
  elif [[ -r $root/cpu/cpu.cfs_quota_us ]]; then
    read -r quota <"$root/cpu/cpu.cfs_quota_us"
    read -r period <"$root/cpu/cpu.cfs_period_us"
  fi
  if [[ $quota =~ ^[0-9]+$ ]] && ((quota > 0 && period > 0)); then
    local allowed=$(((quota + period - 1) / period))
    ((allowed < cpus)) && cpus=$allowed
  fi
  printf '%d\n' "$((cpus > 0 ? cpus : 1))"
}

# kit_network_of NAME [ROUTES]: prints the IPv4 network that holds the name's address, if this container is on it; fails
# otherwise. ROUTES has the form of /proc/net/route, with hexadecimal octets in reverse order.
kit_network_of() {
  local routes=${2:-/proc/net/route} a b c d address destination gateway mask octets=() at bits=0
  IFS='. ' read -r a b c d _ < <(getent ahostsv4 "$1") || return 1
  address=$((a | b << 8 | c << 16 | d << 24))
  while read -r _ destination gateway _ _ _ _ mask _; do
    [[ $gateway == 00000000 && $destination != 00000000 ]] || continue
    (((address & 16#$mask) == 16#$destination)) || continue
    for at in 6 4 2 0; do octets+=("$((16#${destination:at:2}))"); done
    for ((mask = 16#$mask; mask; mask >>= 1)); do ((bits += mask & 1)) || true; done
    (IFS=. && echo "${octets[*]}/$bits")
    return
  done <"$routes"
  return 1
}

# kit_secret NAME: takes the value from NAME, or from the file that NAME_FILE names. Setting both, or a blank value, is an
# error.
kit_secret() {
  local name=$1 file=$1_FILE value
  [[ -v $file ]] || {
    [[ ! -v $name || ${!name} == *[![:space:]]* ]] || kit_fail "$name is set but blank: set a value or unset it"
    return 0
  }
  [[ ! -v $name ]] || kit_fail "$name and $file are both set: set only one of them"
  [[ -r ${!file} ]] || kit_fail "$file=${!file@Q}: must be a file that uid $(id -u) can read"
  value=$(<"${!file}")
  [[ $value == *[![:space:]]* ]] || kit_fail "$file=${!file@Q}: the file is blank"
  export "$name=$value"
  unset "$file"
}

# kit_services [FOLDER] [NAMES]: exports where the kit's own database and Redis are, as their containers have written it.
# A file whose first variable is set already is left out whole: the project uses another one. So is one if the project's
# own name for the host is set. The containers of the profiles that are on write theirs when they start; compose starts
# this one also if they do not. NAMES is a file with the project's names: SERVICE NAME=SOURCE, in each line; the source is
# a variable of the service, or, after a second "=", a text. The name "scheme" is what the service's URLs begin with.
kit_services() {
  local folder=${1:-/srv/services} names=${2:-/kit/service-names} file name value service tries
  for name in postgres redis; do
    [[ ,${COMPOSE_PROFILES:-}, == *,$name,* ]] || continue
    for ((tries = 0; tries < 60; tries++)); do
      [[ ! -e $folder/$name.env ]] || continue 2
      sleep 0.5
    done
    kit_fail "the profile $name is on, and its container has not started: docker compose logs $name"
  done
  [[ -r $names ]] || names=/dev/null
  for file in "$folder"/*.env; do
    [[ -r $file ]] || continue
    service=${file##*/}
    kit_service "${service%.env}" "$file" "$names"
  done
}

# kit_admin_bind: exports ADMIN_BIND. The container of the profile monitor, if that is on, has to reach it.
kit_admin_bind() {
  [[ -n ${ADMIN_BIND:-} || ,${COMPOSE_PROFILES:-}, != *,monitor,* ]] || ADMIN_BIND=0.0.0.0:9180
  kit_variables ADMIN_BIND
  [[ $ADMIN_BIND == off || $ADMIN_BIND =~ ^([A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$ ]] ||
    kit_fail "ADMIN_BIND=${ADMIN_BIND@Q}: must be ADDRESS:PORT, such as 127.0.0.1:9180, or off"
}

# kit_service SERVICE FILE NAMES: exports the variables of one service.
kit_service() {
  local service name value scheme=
  local -A kit_parts=()
  local -a kit_order=()
  while IFS=' =' read -r service name value; do
    [[ $service == "$1" ]] || continue
    [[ $value != *HOST || ! -v $name ]] || return 0
    [[ $name != scheme ]] || scheme=$value
  done <"$3"
  while IFS='=' read -r name value; do
    [[ -z $scheme || $value != *://* ]] || value=$scheme://${value#*://}
    kit_parts[$name]=$value
    kit_order+=("$name")
  done <"$2"
  ((${#kit_order[@]})) && [[ ! -v ${kit_order[0]} ]] || return 0
  for name in "${kit_order[@]}"; do
    [[ -v $name ]] || export "$name=${kit_parts[$name]}"
  done
  while IFS=' =' read -r service name value; do
    [[ $service == "$1" && $name != scheme && ! -v $name ]] || continue
    if [[ $value == =* ]]; then export "$name=${value#=}"; else export "$name=${kit_parts[$value]:-}"; fi
  done <"$3"
}

# kit_given [FOLDER]: exports the variables that an orchestrator has put into files, as secrets, instead of the container's
# configuration. Of Swarm, `environment`: NAME=value, each ended by a NUL (deploy/kit/swarm/files.py). Of Kubernetes, a file
# for each, in `project` and `site`. One that is set already stays.
kit_given() {
  local pair file name folder=${1:-/run/secrets}
  if [[ -r $folder/environment ]]; then
    while IFS= read -r -d '' pair; do
      [[ -v ${pair%%=*} ]] || export "${pair?}"
    done <"$folder/environment"
  fi
  for file in "$folder"/{project,site}/*; do
    name=${file##*/}
    [[ -f $file && $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ && ! -v $name ]] || continue
    [[ -r $file ]] || kit_fail "$file: cannot be read"
    export "$name=$(<"$file")"
  done
}

# kit_project [FOLDER]: exports what the image knows about its project (prepare.py), unless it is set, and enters its folder.
kit_project() {
  local name value
  while IFS='=' read -r name value; do
    [[ -n ${!name:-} ]] || export "$name=$value"
  done <"${1:-/kit}/project.env"
  cd -- "$PROJECT_FOLDER" || kit_fail "PROJECT_FOLDER=${PROJECT_FOLDER@Q}: cannot be entered"
}

# kit_places [FOLDER]: creates what the project's links lead to, in the volumes; files of the image that are new there are
# copied.
kit_places() {
  local folder=${1:-/kit} path target parent inner
  while IFS=$'\t' read -r path target inner; do
    parent=$target
    [[ $target == */ ]] || parent=${target%/*}
    mkdir -p -- "$parent" 2>/dev/null || true
    kit_writable "$parent" release
    if [[ $target == */ ]]; then
      [[ -n $(ls -A -- "$target") || ! -d $folder/initial/$path ]] || cp -a -- "$folder/initial/$path/." "$target"
    else
      [[ -e $target || ! -e $folder/initial/$path ]] || cp -a -- "$folder/initial/$path" "$target"
    fi
    [[ -z $inner ]] || kit_link "$inner" "$target" || kit_fail "$inner: cannot become a link to $target"
  done <"$folder/links"
}

# kit_link LINK FOLDER/: creates the link. The files of a folder that is there instead are moved.
kit_link() {
  [[ ! -L $1 ]] || return 0
  mkdir -p -- "${1%/*}" || return
  [[ ! -d $1 ]] || { cp -an -- "$1/." "$2" && rm -rf -- "$1"; } || return
  # another container may have been faster
  ln -sT -- "${2%/}" "$1" 2>/dev/null || [[ -L $1 ]]
}

# kit_allowed_hosts: exports ALLOWED_HOSTS; without a value, it has the local names and those of SERVER_NAME.
kit_allowed_hosts() {
  [[ -z ${ALLOWED_HOSTS:-} ]] || return 0
  kit_variables ALLOWED_HOSTS
  local name names
  read -ra names <<<"${SERVER_NAME:-}"
  for name in "${names[@]}"; do
    # no name at all, and patterns, which Django does not have
    [[ $name != _ && $name != '~'* && $name != *'.*' ]] || continue
    ALLOWED_HOSTS+=,${name/#'*.'/.}
  done
}

# kit_health_host: prints the Host of a health check: the first name in ALLOWED_HOSTS that has no wildcard.
kit_health_host() {
  local name names
  IFS=', ' read -ra names <<<"${ALLOWED_HOSTS:-}"
  for name in "${names[@]}"; do
    name=${name#.}
    [[ $name == *'*'* ]] || {
      printf '%s\n' "$name"
      return
    }
  done
  printf 'localhost\n'
}
