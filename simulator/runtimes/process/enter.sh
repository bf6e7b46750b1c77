# Run in the instance's namespaces: builds its view of the machine. By MODE, then
#   become  is the first process there, and becomes COMMAND within that view,
#   keep    likewise, and COMMAND finds the machine as it was at /.machine (a zygote builds other instances from there),
#   build   ends; whoever ran it enters the view, INSTANCE/root, by itself (a zygote's fork).
#   enter.sh MODE INSTANCE LOCAL_PATH WORKDIR HOST KEPT -- COMMAND…
# INSTANCE/ml becomes /opt/ml, INSTANCE/checkpoints LOCAL_PATH, INSTANCE/tmp /tmp, and INSTANCE/hosts, where it is there,
# /etc/hosts. The rest of the machine is an overlay whose writes land in INSTANCE/upper; what cannot be overlaid is
# read-only. KEPT: folders that the command needs and would not see otherwise, separated by colons. "ready" is written to
# standard input, the write end of a pipe, when all this stands; COMMAND gets /dev/null in its place.
set -eu
mode=$1 instance=$2 local_path=$3 workdir=$4 host=$5 kept=$6
root=$instance/root
mkdir -p "$root"
[ "$mode" != keep ] || mount -t tmpfs -o mode=755 root "$root"  # what becomes / has to be a mount

read_only() {
  mount --rbind "$1" "$root$1"
  mount -o remount,bind,ro "$root$1" 2>/dev/null || mount -o remount,bind,ro,nosuid,nodev "$root$1" 2>/dev/null ||
    { umount -l "$root$1"; echo "left out, as it cannot be made read-only: $1" >&2; }
}

# All folders at once, and all links: each program started here costs a millisecond of every attempt.
make_folders() {
  set --
  for top in /*; do
    [ -L "$top" ] || [ ! -d "$top" ] || set -- "$@" "$root$top" "$instance/upper$top" "$instance/work$top"
  done
  mkdir -p "$@"
  set --
  for top in /*; do
    [ ! -L "$top" ] || set -- "$@" "$top"
  done
  [ $# = 0 ] || cp -P "$@" "$root/"
}
make_folders

# What INSTANCE/hosts is mounted on has to be a file of the view: not none, and not a link to one of the machine's.
[ ! -f "$instance/hosts" ] || [ -f /etc/hosts -a ! -L /etc/hosts ] || : >"$instance/upper/etc/hosts"

# "volatile": the instance is thrown away, so nothing need be written out when it goes (that took seconds).
layers_of() {
  layers="lowerdir=$1,upperdir=$instance/upper$1,workdir=$instance/work$1"
}

# The whole view as a table for `mount -a`: one program in place of twenty.
table() {
  for top in /*; do
    [ ! -L "$top" ] && [ -d "$top" ] || continue
    case $top in
      /proc | /tmp) ;;
      /dev | /sys) echo "$top $root$top none rbind 0 0" ;;
      *) layers_of "$top" && echo "overlay $root$top overlay $layers,volatile 0 0" ;;
    esac
  done
  echo "shm $root/dev/shm tmpfs nofail 0 0"
  echo "$instance/tmp $root/tmp none bind 0 0"
  echo "proc $root/proc proc defaults 0 0"
  [ ! -f "$instance/hosts" ] || echo "$instance/hosts $root/etc/hosts none bind 0 0"
}

# Characters that have a meaning in the table: then everything is mounted one by one.
is_plain() {
  case $instance in *[[:space:]\\#]*) return 1 ;; esac
  for top in /*; do
    case $top in *[[:space:]\\#]*) return 1 ;; esac
  done
}

is_mounted() {
  while read -r _ place _; do
    [ "$place" != "$root$1" ] || return 0
  done </proc/self/mounts
  return 1
}

overlay() {
  layers_of "$1"
  mount -t overlay overlay -o "$layers,volatile" "$root$1" 2>/dev/null ||
    mount -t overlay overlay -o "$layers" "$root$1" 2>/dev/null || read_only "$1"
}

one_by_one() {
  for top in /*; do
    [ ! -L "$top" ] && [ -d "$top" ] || continue
    case $top in
      /proc | /tmp) ;;
      /dev | /sys) is_mounted "$top" || mount --rbind "$top" "$root$top" ;;
      *) is_mounted "$top" || overlay "$top" ;;
    esac
  done
  mount -t tmpfs shm "$root/dev/shm" 2>/dev/null || true
  is_mounted /tmp || mount --bind "$instance/tmp" "$root/tmp"
  is_mounted /proc || mount -t proc proc "$root/proc"
  [ ! -f "$instance/hosts" ] || [ "$instance/hosts" -ef "$root/etc/hosts" ] ||
    mount --bind "$instance/hosts" "$root/etc/hosts" 2>/dev/null ||
    echo "hosts are not found by their names here: /etc/hosts cannot be replaced" >&2
}

{ is_plain && table >"$instance/mounts" && mount -a -T "$instance/mounts" 2>/dev/null; } || one_by_one

rest=$kept
while [ -n "$rest" ]; do
  one=${rest%%:*}
  rest=${rest#"$one"} rest=${rest#:}
  mkdir -p "$root$one" && read_only "$one"
done
[ -d "$root/opt/ml" ] || mkdir -p "$root/opt/ml" 2>/dev/null ||
  { mount -t tmpfs opt "$root/opt" && mkdir -p "$root/opt/ml"; }
mount --bind "$instance/ml" "$root/opt/ml"
[ -d "$root$local_path" ] || mkdir -p "$root$local_path"
mount --bind "$instance/checkpoints" "$root$local_path"
{ echo "$host" >/proc/sys/kernel/hostname; } 2>/dev/null || hostname "$host" 2>/dev/null || true
[ "$mode" != build ] || exit 0
shift 7
if [ "$mode" = keep ]; then
  mkdir "$root/.machine"
  cd "$root" && pivot_root . .machine
  root=/
fi
echo ready >&0
exec </dev/null
exec chroot "$root" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$workdir" "$@"
