package origin

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// mine answers what it got when the inserted value is what stands behind the mask in
// both places, the bearer token and the member "token" of a JSON body; else 409. So a
// value that came with another client's request shows at either end.
func mine(w http.ResponseWriter, r *http.Request, v []byte) {
	body, err := io.ReadAll(io.LimitReader(r.Body, KeepBody))
	var got struct{ Token, Mark string }
	if err == nil {
		err = json.Unmarshal(body, &got)
	}
	switch bearer := r.Header.Get("Authorization"); {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case len(v) == 0 || bearer != "Bearer "+string(v) || got.Token != string(v):
		http.Error(w, "the value of another", http.StatusConflict)
	default:
		w.Header().Set("X-Mark", got.Mark)
		writeJSON(w, http.StatusOK, map[string]string{"bearer": bearer, "token": got.Token, "mark": got.Mark})
	}
}

// duplex sends n= bytes of Stream(seed=) while it reads the body, each at its own pace.
// length=1 says beforehand how many they are. The record has what came.
func duplex(w http.ResponseWriter, r *http.Request) {
	p := query(r)
	n, seed := p.number("n", 1024), p.number("seed", 1)
	if p.bad(w) {
		return
	}
	rc := http.NewResponseController(w)
	_ = rc.EnableFullDuplex()
	w.Header().Set("Content-Type", "application/octet-stream")
	if p.is("length") {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	_ = rc.Flush()
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, r.Body)
		read <- err
	}()
	_, err := io.Copy(onlyWriter{w}, Stream(uint64(seed), n))
	if rerr := <-read; err != nil || rerr != nil {
		panic(http.ErrAbortHandler)
	}
}
