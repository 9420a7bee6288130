# shellcheck shell=bash
# What both images compute at their start, in one place: the chain of times, the number of CPUs, secrets.
# Sourced by bash scripts. A bad value ends the script with status 2 and one line.

kit_fail() {
  printf '%s: %s\n' "${kit_name:-kit}" "$*" >&2
  exit 2
}

# kit_number NAME LEAST MOST: the variable NAME is a whole number from LEAST to MOST.
kit_number() {
  local value=${!1}
  if [[ ! $value =~ ^[0-9]{1,9}$ ]] || ((10#$value < $2 || 10#$value > $3)); then
    kit_fail "$1 ${value@Q}: a whole number from $2 to $3"
  fi
}

# kit_flag NAME: the variable NAME says yes or no, in the words that the sample project knows; it becomes 1 or 0.
kit_flag() {
  case ${!1,,} in
    1 | true | yes | on) printf -v "$1" 1 ;;
    0 | false | no | off) printf -v "$1" 0 ;;
    *) kit_fail "$1 ${!1@Q}: 1 or 0 (true, yes, on; false, no, off)" ;;
  esac
}

# The chain of times, in seconds. REQUEST_TIMEOUT is the only one to set; docs/times.md draws the chain, and
# tests/kit/test_times.py holds the inequalities.
kit_times() {
  : "${REQUEST_TIMEOUT:=30}"
  kit_number REQUEST_TIMEOUT 1 3600
  PROXY_CONNECT_TIMEOUT=2
  # The application's own 504, with its log line, comes before the proxy's.
  PROXY_TIMEOUT=$((REQUEST_TIMEOUT + 5))
  # Until whoever sends requests here has noticed that this server is leaving: a Kubernetes Service, a balancer. compose
  # says 0: nginx there asks nobody, meets a closed socket at once, and tries the next server.
  : "${DRAIN_DELAY:=5}"
  kit_number DRAIN_DELAY 0 600
  GRACEFUL_TIMEOUT=$REQUEST_TIMEOUT
  # supervisord kills what has not ended by then.
  STOP_WAIT=$((DRAIN_DELAY + GRACEFUL_TIMEOUT + 5))
  NGINX_SHUTDOWN_TIMEOUT=$((PROXY_TIMEOUT + 5))
  # The container engine kills the container after this one: longer than all of the above.
  STOP_GRACE=$(((STOP_WAIT > NGINX_SHUTDOWN_TIMEOUT ? STOP_WAIT : NGINX_SHUTDOWN_TIMEOUT) + 5))
  KUBERNETES_GRACE=$((STOP_GRACE + 15))
  # Whoever sends first must give up first: a request on a connection that its receiver just closed is lost.
  UPSTREAM_KEEP_ALIVE=30
  SERVER_KEEP_ALIVE=75
  CLIENT_KEEP_ALIVE=75
  export REQUEST_TIMEOUT PROXY_CONNECT_TIMEOUT PROXY_TIMEOUT DRAIN_DELAY GRACEFUL_TIMEOUT STOP_WAIT \
    NGINX_SHUTDOWN_TIMEOUT STOP_GRACE KUBERNETES_GRACE UPSTREAM_KEEP_ALIVE SERVER_KEEP_ALIVE CLIENT_KEEP_ALIVE
  # compose cannot add: it tells what it was given, and a stop that would be cut short is refused at the start.
  local given=${STOP_GRACE_PERIOD:-}
  [[ -z $given ]] && return
  [[ $given =~ ^[0-9]{1,9}s$ ]] || kit_fail "STOP_GRACE_PERIOD ${given@Q}: whole seconds, such as ${STOP_GRACE}s"
  ((10#${given%s} >= STOP_GRACE)) ||
    kit_fail "STOP_GRACE_PERIOD ${given@Q}: at least ${STOP_GRACE}s with REQUEST_TIMEOUT=$REQUEST_TIMEOUT"
}

# kit_cpus [CGROUP_ROOT]: prints how many CPUs this container may use, its quota rounded up, at least 1.
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

# kit_network_of NAME [ROUTES]: prints the IPv4 network, of those this container is on, in which the name's address is;
# fails if there is none. ROUTES is as /proc/net/route, whose hexadecimal octets are in reverse.
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

# kit_secret NAME: the value may come as NAME, or as the path of a file in NAME_FILE. Not both, and not blank.
kit_secret() {
  local name=$1 file=$1_FILE value
  [[ -v $file ]] || {
    [[ ! -v $name || ${!name} == *[![:space:]]* ]] || kit_fail "$name is blank: give it a value, or do not set it"
    return 0
  }
  [[ ! -v $name ]] || kit_fail "$name and $file are both set: set one of them"
  [[ -r ${!file} ]] || kit_fail "$file ${!file@Q}: a file that uid $(id -u) can read"
  value=$(<"${!file}")
  [[ $value == *[![:space:]]* ]] || kit_fail "$file ${!file@Q}: the file is blank"
  export "$name=$value"
  unset "$file"
}

# kit_collectstatic VERBOSITY: collects the static files of the Django project here, and prints where they are: in its
# STATIC_ROOT, or in the environment's where it has none, as a new project.
kit_collectstatic() {
  VERBOSITY=$1 python manage.py shell --verbosity 0 --command '
import os, sys
from django.conf import settings
from django.core.management import call_command
settings.STATIC_ROOT = settings.STATIC_ROOT or os.environ["STATIC_ROOT"]
how = {"verbosity": int(os.environ["VERBOSITY"]), "interactive": False, "skip_checks": False}
call_command("collectstatic", stdout=sys.stderr, **how)
print(settings.STATIC_ROOT)' | tail -n 1
}

# kit_dotenv NAME FILE: gives the variable NAME the value that FILE, as compose reads it, has for it; one that is set
# stays as it is.
kit_dotenv() {
  local line value
  [[ ! -v $1 && -f $2 ]] || return 0
  line=$(grep -E "^(export +)?$1 *=" "$2" | tail -n 1) || return 0
  value=${line#*=}
  value=${value#"${value%%[![:space:]]*}"}
  case $value in
    \'*) value=${value#\'} value=${value%%\'*} ;;
    \"*) value=${value#\"} value=${value%%\"*} ;;
    *) value=${value%%[[:space:]]#*} value=${value%"${value##*[![:space:]]}"} ;;
  esac
  export "$1=$value"
}

# kit_health_host: the name a health check asks for: the first plain one that ALLOWED_HOSTS allows.
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
