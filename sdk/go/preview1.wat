;; What Go's runtime wants of WASI preview 1, with nothing behind it: no files, no arguments, no
;; variables, and a clock that only counts. `wasm-tools component new --adapt` puts it into the
;; component, which then imports no WASI at all.
(module
  (import "env" "memory" (memory 0))

  ;; Nanoseconds; a millisecond goes by each time somebody looks.
  (global $now (mut i64) (i64.const 1000000))
  (global $random (mut i32) (i32.const 0x2545F491))

  (func (export "clock_time_get") (param i32 i64 i32) (result i32)
    (global.set $now (i64.add (global.get $now) (i64.const 1000000)))
    (i64.store (local.get 2) (global.get $now))
    (i32.const 0))

  ;; The same bytes in every instance: good for hash maps, not for secrets.
  (func (export "random_get") (param $at i32) (param $size i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (global.set $random
          (i32.add (i32.mul (global.get $random) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store8 (local.get $at) (i32.shr_u (global.get $random) (i32.const 24)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  ;; Everything counts as written.
  (func (export "fd_write") (param $fd i32) (param $parts i32) (param $count i32) (param $out i32)
    (result i32)
    (local $written i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $written
          (i32.add (local.get $written) (i32.load offset=4 (local.get $parts))))
        (local.set $parts (i32.add (local.get $parts) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $out) (local.get $written))
    (i32.const 0))

  ;; A sleep is over at once: one event, without an error.
  (func (export "poll_oneoff") (param i32) (param $events i32) (param i32) (param $count i32)
    (result i32)
    (i64.store (local.get $events) (i64.const 0))
    (i64.store offset=8 (local.get $events) (i64.const 0))
    (i32.store (local.get $count) (i32.const 1))
    (i32.const 0))

  (func $none (param $count i32) (param $size i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $size) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "proc_exit") (param i32) (unreachable))

  ;; There are no files: 8 is EBADF.
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8)))
