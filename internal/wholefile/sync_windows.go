package wholefile

// syncFolder does nothing: Windows can't flush a folder.
func syncFolder(string) error { return nil }
