/**
 * The switch between the VMs of one network: frames that one VM sends to others.
 *
 * <pre>
 *   VM 1  link ─ {@link dev.slipway.lan.SwitchPort} ─┬─ gateway's MAC address, or nobody's: the VM's own stack
 *                       │ queue of VM 2  ├─ MAC address of another VM: its queue
 *                       ▼                └─ broadcast and multicast: all other queues, and the stack
 *   VM 2  link ◄─ {@link dev.slipway.lan.SwitchPort}
 * </pre>
 *
 * <p><b>Threads.</b> Each VM has an event loop of its own. A sender copies a frame into the receiver's {@link
 * dev.slipway.lan.FrameQueue}, once, and wakes its loop at most once for a batch. There is no lock on this path: the table
 * of MAC addresses is a value that is replaced when it changes. A queue that is full costs the sender a frame, which is
 * counted, and never time; what each sender may have in it is bounded.
 *
 * <p><b>Whose address.</b> A MAC address belongs to the VM that used it first, until that one detaches; all but the first
 * of a VM may also be used by another after five minutes of silence, unless there is a lease. An IP address belongs to who
 * holds its lease or, if nobody does, used it first ({@link dev.slipway.dhcp.LeaseTable}). {@link
 * dev.slipway.lan.FrameGuard} looks at every frame that leaves a VM for another: who claims what is somebody else's, a DHCP
 * server's words, and a router's, go no further. So does what cannot be looked into: EtherTypes but ARP, IPv4 and IPv6
 * (with tags and LLC headers such guards are got around: CERT VU#855201).
 *
 * <p><b>Offload.</b> A frame keeps its large unit and its partial checksum; the receiver's link cuts and sums if its VM
 * does not take them ({@link dev.slipway.ethernet.Segmenter}).
 *
 * <p>To read first: IEEE 802.1Q clause 8.7 (learning), RFC 826 and RFC 5227 (ARP), RFC 4861 and RFC 6105 (RA guard).
 */
package dev.slipway.lan;
