package cli

// heapRoom is how much garbage a session may gather, in bytes, beyond what Go's collector allows by itself. kz lives in
// a few megabytes, so that without it the collector ran every few hundred requests, for a third of the CPU. A fixed room
// costs the same however many connections are open; a larger GOGC would multiply what they hold.
const heapRoom = 16 << 20

// newHeapRoom makes the collector wait longer for as long as the result is held. Nothing is ever written to it, so that
// it takes address space and no memory.
func newHeapRoom() []byte { return make([]byte, heapRoom) }
