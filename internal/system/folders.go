package system

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// CheckFolders reports services whose folder is not there. Only who builds them
// needs the folders, and wants to know before the first is built.
func (s *System) CheckFolders() error {
	var errs []error
	for _, service := range s.Services {
		elsewhere := !strings.HasPrefix(service.Path, ".") // a package of another module
		if elsewhere || isFolder(filepath.Join(s.Dir, service.Path)) {
			continue
		}
		errs = append(errs, fmt.Errorf("%s: services.%s.path: there is no folder %s%s",
			service.Position, service.Name, service.Path, s.folderMeant(service.Path)))
	}
	return errors.Join(errs...)
}

// folderMeant ends the sentence that a folder is not there. It looks beside
// the first part of the path that is wrong.
func (s *System) folderMeant(wrong string) string {
	parts := strings.Split(path.Clean(filepath.ToSlash(wrong)), "/")
	for i, part := range parts {
		before := strings.Join(parts[:i], "/")
		if isFolder(filepath.Join(s.Dir, before, part)) {
			continue
		}
		var known []string
		entries, _ := os.ReadDir(filepath.Join(s.Dir, before)) // what can't be read is not meant
		for _, e := range entries {
			meant := path.Join(before, e.Name(), strings.Join(parts[i+1:], "/"))
			if !strings.HasPrefix(e.Name(), ".") && isFolder(filepath.Join(s.Dir, meant)) {
				known = append(known, "./"+meant)
			}
		}
		if len(known) > 0 {
			return "; " + DidYouMean("./"+path.Join(parts...), known)
		}
		break
	}
	return "; warren new service makes one"
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
