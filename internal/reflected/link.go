package reflected

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Link turns a set into descriptors. Files that are linked into this program
// word by word are taken from there, because their messages are faster.
func Link(set *descriptorpb.FileDescriptorSet) (*protoregistry.Files, error) {
	l := &linker{sources: map[string]*descriptorpb.FileDescriptorProto{}, linked: map[string]bool{}, files: &protoregistry.Files{}}
	for _, file := range set.GetFile() {
		l.sources[file.GetName()] = file
	}
	for _, file := range set.GetFile() {
		if err := l.file(file.GetName()); err != nil {
			return nil, err
		}
	}
	return l.files, nil
}

type linker struct {
	sources map[string]*descriptorpb.FileDescriptorProto
	linked  map[string]bool // taken from this program
	busy    []string
	files   *protoregistry.Files
}

func (l *linker) file(name string) error {
	if _, err := l.files.FindFileByPath(name); err == nil {
		return nil
	}
	source := l.sources[name]
	if source == nil || slices.Contains(l.busy, name) {
		return fmt.Errorf("link contracts: %s is missing or imports itself", name)
	}
	l.busy = append(l.busy, name)
	defer func() { l.busy = l.busy[:len(l.busy)-1] }()
	same := true
	for _, imported := range source.GetDependency() {
		if err := l.file(imported); err != nil {
			return err
		}
		same = same && l.linked[imported]
	}
	fd, err := l.build(source, same)
	if err != nil {
		return err
	}
	return l.files.RegisterFile(fd)
}

func (l *linker) build(source *descriptorpb.FileDescriptorProto, same bool) (protoreflect.FileDescriptor, error) {
	if own, err := protoregistry.GlobalFiles.FindFileByPath(source.GetName()); err == nil && same {
		bare := proto.CloneOf(source)
		bare.SourceCodeInfo = nil // programs do not link comments
		if proto.Equal(protodesc.ToFileDescriptorProto(own), bare) {
			l.linked[source.GetName()] = true
			return own, nil
		}
	}
	fd, err := protodesc.NewFile(source, l.files)
	if err != nil {
		return nil, fmt.Errorf("link contracts: %w", err)
	}
	return fd, nil
}
