//! How much has to arrive before a waiting reader is woken.
//!
//! PostgreSQL sends 8 KiB at a time. A reader that is woken for each piece of a long result spends more processor time
//! on being woken than on decoding.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use super::dial::Socket;

/// A byte stream of a session.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    /// From now on wakes a reader only when this many bytes wait, or the other side is done. A lower number than before
    /// wakes it at once if so many wait already. An error where the stream always wakes for a single byte.
    fn set_low_water(&self, bytes: usize) -> io::Result<()> {
        let _ = bytes;
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Stream for Socket {
    /// TCP on Linux only: `tcp_set_rcvlowat` wakes the reader when it has to; a local socket does not heed it.
    #[cfg(target_os = "linux")]
    fn set_low_water(&self, bytes: usize) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        let Self::Tcp(stream) = self else { return Err(io::ErrorKind::Unsupported.into()) };
        let value = libc::c_int::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
        set_receive_low_water(stream.as_raw_fd(), value)
    }
}

/// No library that the project has offers this option.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "setsockopt reads one integer that lives as long as the call; its size is passed")]
fn set_receive_low_water(socket: std::os::fd::RawFd, bytes: libc::c_int) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let value: *const libc::c_int = &bytes;
    let status = unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, value.cast(), size) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
