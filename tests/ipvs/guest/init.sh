#!/bin/sh
# Process 1 of the lab kernel: gives the test program a place to work in, runs it, halts.
# The kernel command line hands over LAB_PROGRAM, LAB_RESULTS and LAB_LIMIT as variables. The
# root is the host's own file system, read-only; everything that is written goes to /run, the
# results through a mount of their own to the host.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TZ=UTC HOME=/run TMPDIR=/run/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/results /run/tmp /run/m/lib /run/upper /run/work
mount -t hostfs none /run/results -o "$LAB_RESULTS"
exec >/run/results/driver.log 2>&1
ln -s /usr/lib/uml/modules /run/m/lib/modules
# A daemon that was not told another state folder finds /var/lib/mon, empty, whatever the host
# has there. All else under /var/lib stays visible: the project itself may lie there.
modprobe -d /run/m overlay
mount -t overlay overlay -o lowerdir=/var/lib,upperdir=/run/upper,workdir=/run/work /var/lib
# Monitors and alerts that the host may have installed are not what is tested here.
if [ -d /usr/lib/mon ]; then mount -t tmpfs tmpfs /usr/lib/mon; fi
ip link set lo up
LAB_ROLE=driver LAB_GUEST=/run/results timeout -k 5 "$LAB_LIMIT" \
    "$LAB_PROGRAM" ipvs::guest::every_lab_ends_in_order --exact --nocapture
echo "driver ended with $?" >/run/results/ended
halt -f
