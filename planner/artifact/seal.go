package artifact

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What is stored of an artifact, version 1:
//
//	magic   "weir"
//	version 1 byte: 1
//	size    2 bytes, big endian: length of the sealed key
//	key     the artifact's own AES-256 key, sealed by the server's key
//	chunks  AES-256-GCM of 64 KiB of content each, with its tag of 16 bytes;
//	        the last one is shorter or full, and the only one that may be empty
//
// The nonce of a chunk is its number (11 bytes, big endian) and one byte that is
// 1 for the last chunk, so that chunks can be neither reordered nor cut off (the
// STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). A nonce
// never repeats under a key, because each stored object has a new key. The
// additional data of every chunk is the header and the object's key in the
// bucket: a chunk opens only in the scope and under the digest it was made for.
const (
	magic       = "weir"
	version     = 1
	headerSize  = len(magic) + 1 + 2
	dataKeySize = 32
	chunkSize   = 64 << 10
	tagSize     = 16
)

// damage is a finding about stored bytes.
type damage struct{ reason string }

func (d *damage) Error() string { return d.reason }

// header returns everything before the chunks.
func header(sealedKey []byte) ([]byte, error) {
	if len(sealedKey) > 1<<16-1 {
		return nil, fmt.Errorf("a sealed key of %d bytes is too long", len(sealedKey))
	}
	h := append([]byte(magic), version)
	h = binary.BigEndian.AppendUint16(h, uint16(len(sealedKey)))
	return append(h, sealedKey...), nil
}

// stream seals or opens chunk after chunk. It is used once, for one object.
type stream struct {
	aead  cipher.AEAD
	ad    []byte
	nonce [12]byte
}

func newStream(dataKey, head []byte, name string) (*stream, error) {
	block, err := aes.NewCipher(dataKey)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	// The header says how long it is, so that no two pairs run together to
	// the same bytes.
	return &stream{aead: aead, ad: append(bytes.Clone(head), name...)}, nil
}

// next returns the nonce of the next chunk.
func (s *stream) next(last bool) []byte {
	n := s.nonce
	if last {
		n[11] = 1
	}
	count := binary.BigEndian.Uint64(s.nonce[3:11])
	binary.BigEndian.PutUint64(s.nonce[3:11], count+1)
	return n[:]
}

// seal writes the header and the content of r, in chunks.
func seal(w io.Writer, r io.Reader, dataKey, sealedKey []byte, name string) error {
	head, err := header(sealedKey)
	if err != nil {
		return err
	}
	s, err := newStream(dataKey, head, name)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	return eachChunk(r, chunkSize, func(chunk []byte, last bool) error {
		_, err := w.Write(s.aead.Seal(chunk[:0], s.next(last), chunk, s.ad))
		return err
	})
}

// open writes to w the content that was sealed under name. Findings about the
// stored bytes are of type *damage.
func open(w io.Writer, r io.Reader, name string, unsealKey func([]byte) ([]byte, error)) error {
	r = source{r}
	head := make([]byte, headerSize)
	if err := readFull(r, head); err != nil {
		return err
	}
	if string(head[:len(magic)]) != magic {
		return &damage{"it is not a sealed artifact"}
	}
	if v := head[len(magic)]; v != version {
		return &damage{fmt.Sprintf("its format is %d, which this version of weir does not know", v)}
	}
	sealedKey := make([]byte, binary.BigEndian.Uint16(head[headerSize-2:]))
	if err := readFull(r, sealedKey); err != nil {
		return err
	}
	dataKey, err := unsealKey(sealedKey)
	if err != nil {
		return err
	}
	if len(dataKey) != dataKeySize {
		return &damage{"its key has the wrong length"}
	}
	s, err := newStream(dataKey, append(head, sealedKey...), name)
	if err != nil {
		return err
	}
	return eachChunk(r, chunkSize+tagSize, func(chunk []byte, last bool) error {
		plain, err := s.aead.Open(chunk[:0], s.next(last), chunk, s.ad)
		if err != nil {
			return &damage{"it was changed, cut, or belongs elsewhere"}
		}
		_, err = w.Write(plain)
		return err
	})
}

// eachChunk calls f with every size bytes of r, and says which are the last.
// An empty r is one empty chunk. The chunk may be written to, up to tagSize
// bytes beyond its end, and is valid until f returns.
func eachChunk(r io.Reader, size int, f func(chunk []byte, last bool) error) error {
	br := bufio.NewReader(r)
	buf := make([]byte, size, size+tagSize)
	for {
		n, err := io.ReadFull(br, buf)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		if !last {
			_, err := br.Peek(1)
			if last = errors.Is(err, io.EOF); err != nil && !last {
				return err
			}
		}
		if err := f(buf[:n], last); err != nil || last {
			return err
		}
	}
}

// source keeps a connection that broke apart from an object that ends too soon:
// both are io.ErrUnexpectedEOF otherwise, and only the second is damage.
type source struct{ io.Reader }

func (s source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the connection broke")
	}
	return n, err
}

// readFull fills b. That there are not enough bytes is damage.
func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &damage{"it ends too soon"}
	}
	return err
}
