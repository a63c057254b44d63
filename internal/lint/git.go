package lint

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strings"
)

// revisionSources adds the contracts that stood below root in a revision, by
// import path. A root that was not there yet had none.
func revisionSources(ctx context.Context, root, revision string, into map[string]string) error {
	// The commit's hash, so that no name is taken for a flag.
	commit, err := git(ctx, root, "rev-parse", "--verify", "--end-of-options", revision+"^{commit}")
	if err != nil {
		return fmt.Errorf("find revision %s: %w", revision, err)
	}
	hash := strings.TrimSpace(string(commit))
	listed, err := git(ctx, root, "ls-tree", "-r", "-z", "--name-only", hash, "./")
	if err != nil {
		return fmt.Errorf("list contracts of revision %s: %w", revision, err)
	}
	archive := []string{"archive", "--format=tar", hash, "--"}
	for name := range strings.SplitSeq(string(listed), "\x00") {
		if path.Ext(name) == ".proto" {
			archive = append(archive, ":(literal)"+name)
		}
	}
	if archive[len(archive)-1] == "--" {
		return nil
	}
	content, err := git(ctx, root, archive...)
	if err != nil {
		return fmt.Errorf("read contracts of revision %s: %w", revision, err)
	}
	return untar(content, into)
}

func untar(content []byte, into map[string]string) error {
	archive := tar.NewReader(bytes.NewReader(content))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read contracts from git: %w", err)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			return fmt.Errorf("read contracts from git: %w", err)
		}
		into[header.Name] = string(text)
	}
}

func git(ctx context.Context, folder string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", folder}, args...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		if said == "" {
			return nil, fmt.Errorf("git %s: %w", args[0], err)
		}
		return nil, fmt.Errorf("git %s: %s", args[0], said)
	}
	return stdout.Bytes(), nil
}
