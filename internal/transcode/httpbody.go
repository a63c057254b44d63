package transcode

import "google.golang.org/protobuf/reflect/protoreflect"

// google.api.HttpBody is a body as it is: no JSON. It is handled by its
// descriptor, because it may be a dynamic message.

func isHTTPBody(md protoreflect.MessageDescriptor) bool {
	return md.FullName() == "google.api.HttpBody"
}

func setHTTPBody(m protoreflect.Message, contentType string, data []byte) {
	fields := m.Descriptor().Fields()
	m.Set(fields.ByName("content_type"), protoreflect.ValueOfString(contentType))
	m.Set(fields.ByName("data"), protoreflect.ValueOfBytes(data))
}

func appendHTTPBody(dst []byte, m protoreflect.Message) ([]byte, string, error) {
	fields := m.Descriptor().Fields()
	contentType := m.Get(fields.ByName("content_type")).String()
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	return append(dst, m.Get(fields.ByName("data")).Bytes()...), contentType, nil
}
