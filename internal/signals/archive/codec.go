package archive

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// codec encodes spans as they are stored: OTLP, compressed. It is safe for
// concurrent use.
type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// decodedAtMost bounds what one chunk may become.
const decodedAtMost = 256 << 20

func newCodec() (*codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2),
		zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("open the compressor: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxMemory(decodedAtMost), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("open the decompressor: %w", err)
	}
	return &codec{encoder, decoder}, nil
}

func (c *codec) encode(td ptrace.Traces) ([]byte, error) {
	raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	if err != nil {
		return nil, fmt.Errorf("encode spans: %w", err)
	}
	return c.encoder.EncodeAll(raw, nil), nil
}

// decode returns spans, and how many bytes they have where nothing is compressed.
func (c *codec) decode(data []byte) (ptrace.Traces, int, error) {
	raw, err := c.decoder.DecodeAll(data, nil)
	if err != nil {
		return ptrace.Traces{}, 0, fmt.Errorf("decode spans: %w", err)
	}
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(raw)
	if err != nil {
		return ptrace.Traces{}, 0, fmt.Errorf("decode spans: %w", err)
	}
	return td, len(raw), nil
}

func (c *codec) close() {
	_ = c.encoder.Close()
	c.decoder.Close()
}
