package registry

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
)

// HostIdentity is the same for processes that can reach one another's unix
// sockets, and differs for all others: containers on one machine share its
// kernel but not its files. It is what Instance.Host holds.
func HostIdentity() string {
	name, _ := os.Hostname() // an unnamed host is told apart by the rest
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return cmp.Or(name, "localhost") // not Linux
	}
	mounts, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		// Which files this process sees is unknown: only its own name is safe.
		mounts = name
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(string(boot)) + "\x00" + mounts))
	return hex.EncodeToString(sum[:8])
}
