//! SQL Server Browser: at which port a named instance listens (MC-SQLR 2.2.3 and 2.2.5).

use crate::error::{Error, Kind, Result};
use std::net::{ToSocketAddrs, UdpSocket};
use std::time::Duration;

/// Where it answers.
pub(super) const PORT: u16 = 1434;

const CLNT_UCAST_INST: u8 = 0x04;
const SVR_RESP: u8 = 0x05;
/// It is asked so often, and waited for so long each time.
const TRIES: u32 = 3;
const WAIT: Duration = Duration::from_secs(1);
const MOST_ANSWER_BYTES: usize = 3 + 65_535;

/// The TCP port of an instance of a host, asked of the browser at a port.
///
/// # Errors
/// Database: nobody answers, or the instance is not there or not reached by TCP; says to name the port.
pub(super) fn port_of(host: &str, browser: u16, instance: &str) -> Result<u16> {
    let failed = |why: &str| {
        Error::new(Kind::Database, format!("the port of the instance {host}\\{instance} cannot be found: {why}"))
            .hint(format!("name the port: Server=tcp:{host},PORT (SQL Server Configuration Manager and the server's error log show it)"))
    };
    let unreached =
        |error: std::io::Error| failed("SQL Server Browser does not answer at UDP port 1434").caused_by(error);
    let place = (host, browser).to_socket_addrs().map_err(unreached)?.next();
    let place = place.ok_or_else(|| failed("the host has no address"))?;
    let own = if place.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(own).map_err(unreached)?;
    socket.connect(place).map_err(unreached)?;
    socket.set_read_timeout(Some(WAIT)).map_err(unreached)?;
    let question = [&[CLNT_UCAST_INST], instance.as_bytes(), &[0]].concat();
    let mut answer = vec![0; MOST_ANSWER_BYTES];
    let mut last = None;
    for _ in 0..TRIES {
        match socket.send(&question).and_then(|_| socket.recv(&mut answer)) {
            Ok(bytes) => {
                return port_in(&answer[..bytes], instance)
                    .ok_or_else(|| failed("it has no port of TCP, or is not there"));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| failed("nobody was asked"), unreached))
}

/// `ServerName;…;InstanceName;…;tcp;PORT;;`, behind a byte and a length.
fn port_in(answer: &[u8], instance: &str) -> Option<u16> {
    let text = answer.strip_prefix(&[SVR_RESP])?.get(2..)?;
    let text = String::from_utf8_lossy(text);
    text.split(";;").find_map(|one| {
        let fields: Vec<&str> = one.split(';').collect();
        let value =
            |name: &str| fields.chunks_exact(2).find(|pair| pair[0].eq_ignore_ascii_case(name)).map(|pair| pair[1]);
        value("InstanceName").filter(|found| found.eq_ignore_ascii_case(instance))?;
        value("tcp")?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers one question, as a browser does.
    fn browser(answer: &'static str) -> (u16, std::thread::JoinHandle<Vec<u8>>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let asked = std::thread::spawn(move || {
            let mut question = [0; 64];
            let (bytes, from) = socket.recv_from(&mut question).unwrap();
            let length = u16::try_from(answer.len()).unwrap().to_le_bytes();
            socket.send_to(&[&[SVR_RESP], &length[..], answer.as_bytes()].concat(), from).unwrap();
            question[..bytes].to_vec()
        });
        (port, asked)
    }

    #[test]
    fn a_browser_is_asked_for_the_port_of_an_instance() {
        let (port, asked) = browser(
            "ServerName;DB1;InstanceName;SALES;IsClustered;No;Version;15.0.2000.5;tcp;51433;np;\\\\DB1\\pipe;;",
        );
        assert_eq!(port_of("127.0.0.1", port, "sales").unwrap(), 51_433);
        assert_eq!(asked.join().unwrap(), b"\x04sales\0");
    }

    #[test]
    fn who_has_no_port_is_told_to_name_it() {
        let (port, _asked) =
            browser("ServerName;DB1;InstanceName;SALES;IsClustered;No;Version;15.0.2000.5;np;\\\\DB1\\pipe;;");
        let error = format!("{:?}", port_of("127.0.0.1", port, "sales").unwrap_err());
        assert!(error.contains("127.0.0.1\\\\sales") && error.contains("name the port"), "{error}");
    }
}
