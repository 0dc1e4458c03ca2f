package ca

import (
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

const openNoFollow = 0 // what is opened is looked at by its own name and kind before and after

// makeOwn makes a directory whose access list, which what is made in it inherits, names nobody but this user, the system
// and its administrators.
func makeOwn(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	allowed, err := mayReach()
	if err != nil {
		return err
	}
	var entries []windows.EXPLICIT_ACCESS
	for _, sid := range allowed {
		entries = append(entries, windows.EXPLICIT_ACCESS{
			AccessPermissions: windows.GENERIC_ALL,
			AccessMode:        windows.GRANT_ACCESS,
			Inheritance:       windows.SUB_CONTAINERS_AND_OBJECTS_INHERIT,
			Trustee:           windows.TRUSTEE{TrusteeForm: windows.TRUSTEE_IS_SID, TrusteeValue: windows.TrusteeValueFromSID(sid)},
		})
	}
	list, err := windows.ACLFromEntries(entries, nil)
	if err != nil {
		return fmt.Errorf("closing %s to others: %w", dir, err)
	}
	// Protected: what the directory above grants is not inherited.
	const what = windows.DACL_SECURITY_INFORMATION | windows.PROTECTED_DACL_SECURITY_INFORMATION
	if err := windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, what, nil, nil, list, nil); err != nil {
		return fmt.Errorf("closing %s to others: %w", dir, err)
	}
	return nil
}

// onlyOwn wants a file, or a directory, that belongs to this user or the administrators, and whose access list grants
// nothing to anybody else.
func onlyOwn(name string, _ fs.FileInfo) error {
	allowed, err := mayReach()
	if err != nil {
		return err
	}
	known := func(sid *windows.SID) bool {
		for _, a := range allowed {
			if sid != nil && sid.Equals(a) {
				return true
			}
		}
		return false
	}
	const what = windows.OWNER_SECURITY_INFORMATION | windows.DACL_SECURITY_INFORMATION
	sd, err := windows.GetNamedSecurityInfo(name, windows.SE_FILE_OBJECT, what)
	if err != nil {
		return fmt.Errorf("asking who can reach %s: %w", name, err)
	}
	if owner, _, err := sd.Owner(); err != nil || !known(owner) {
		return fmt.Errorf("%s belongs to another user: %w", name, ErrUnsafeFile)
	}
	list, _, err := sd.DACL()
	if err != nil || list == nil { // without a list everybody may do everything
		return fmt.Errorf("%s has no access list, others could reach it: %w", name, ErrUnsafeFile)
	}
	for i := range uint32(list.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &ace); err != nil {
			return fmt.Errorf("asking who can reach %s: %w", name, err)
		}
		if ace.Header.AceType == windows.ACCESS_DENIED_ACE_TYPE {
			continue
		}
		// Any kind but the plain one grants something that is not looked into here.
		if ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE || !known((*windows.SID)(unsafe.Pointer(&ace.SidStart))) {
			return fmt.Errorf("%s has an access list that lets others reach it: %w", name, ErrUnsafeFile)
		}
	}
	return nil
}

// mayReach are this user, the system and the administrators: the latter two can reach everything anyhow.
func mayReach() ([]*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("asking who this user is: %w", err)
	}
	all := []*windows.SID{user.User.Sid}
	for _, kind := range []windows.WELL_KNOWN_SID_TYPE{windows.WinLocalSystemSid, windows.WinBuiltinAdministratorsSid} {
		sid, err := windows.CreateWellKnownSid(kind)
		if err != nil {
			return nil, fmt.Errorf("asking for a well-known user: %w", err)
		}
		all = append(all, sid)
	}
	return all, nil
}

func syncDir(string) error { return nil }
