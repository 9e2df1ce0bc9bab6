package wire

// HasTags says whether all required tags are among those of a message.
func HasTags(tags, required []string) bool {
	for _, wanted := range required {
		found := false
		for _, tag := range tags {
			if tag == wanted {
				found = true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}
