package shards

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// An id is 26 characters of Crockford's base 32, which sort as what they stand
// for: ten of milliseconds since 1970, two of the shard, fourteen of chance. They
// fit into URLs and file names, and don't read as words.
const (
	alphabet    = "0123456789abcdefghjkmnpqrstvwxyz"
	timeLength  = 10
	shardLength = 2
	idLength    = 26
	maxShards   = 1 << (5 * shardLength)
)

// ErrID says that a text is no id of [NewID].
var ErrID = errors.New("not an id that carries a shard")

// NewID returns a new id that carries the shard. Ids sort by their time, to the
// millisecond, and those of one millisecond by shard.
func NewID(shard int, at time.Time) string {
	var chance [16]byte
	rand.Read(chance[:])
	id := make([]byte, idLength)
	write(id[:timeLength], uint64(max(0, at.UnixMilli())))
	write(id[timeLength:timeLength+shardLength], uint64(shard))
	// Seven characters hold 35 bits.
	write(id[12:19], binary.BigEndian.Uint64(chance[:8]))
	write(id[19:], binary.BigEndian.Uint64(chance[8:]))
	return string(id)
}

// write fills the text with the lowest bits of n.
func write(text []byte, n uint64) {
	for i := range slices.Backward(text) {
		text[i] = alphabet[n&31]
		n >>= 5
	}
}

func read(text string) (n uint64, ok bool) {
	for _, r := range []byte(text) {
		digit := strings.IndexByte(alphabet, r)
		if digit < 0 {
			return 0, false
		}
		n = n<<5 | uint64(digit)
	}
	return n, true
}

// ParseID returns what an id carries.
func ParseID(id string) (shard int, at time.Time, err error) {
	if len(id) != idLength {
		return 0, time.Time{}, fmt.Errorf("%w: it has %d characters instead of %d", ErrID, len(id), idLength)
	}
	millis, ok1 := read(id[:timeLength])
	number, ok2 := read(id[timeLength : timeLength+shardLength])
	_, ok3 := read(id[timeLength+shardLength:])
	if !ok1 || !ok2 || !ok3 {
		return 0, time.Time{}, fmt.Errorf("%w: it has characters that none has", ErrID)
	}
	return int(number), time.UnixMilli(int64(millis)).UTC(), nil
}
