//! What a machine can do at most, for `benches/compare`: nothing but reading rows, nothing but
//! writing bytes, nothing but receiving rows. Each prints nothing and is timed as a process. And what
//! Python cannot do for `benches/data.py`: the way to a server, and values that its SQLite does not take.

use futures_util::TryStreamExt as _;
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use std::error::Error;
use std::fs::File;
use std::io::{Read as _, Write as _};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, QueryItem};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

type Outcome = Result<(), Box<dyn Error>>;
type Link = Client<Compat<TcpStream>>;

const BLOCK_BYTES: usize = 1 << 20;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["read-sqlite", file, query] => read_sqlite(file, query),
        ["write", from, to] => write(from, to),
        ["enlarge", file, bytes] => enlarge(file, bytes.parse()?),
        ["drain", login @ .., query] => drain(login, query),
        ["sql", login @ .., file] => sql(login, file),
        // `cargo bench` calls every bench; this one is for benches/compare.
        _ => Ok(()),
    }
}

/// Reads every value of every row.
fn read_sqlite(file: &str, query: &str) -> Outcome {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement = connection.prepare(query)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            bytes += match row.get_ref(column)? {
                ValueRef::Blob(value) | ValueRef::Text(value) => value.len(),
                _ => 8,
            };
        }
    }
    std::hint::black_box(bytes);
    Ok(())
}

/// Writes as many bytes as a file has, out of memory, and syncs them.
fn write(from: &str, to: &str) -> Outcome {
    let bytes = std::fs::metadata(from)?.len();
    let mut block = vec![0; BLOCK_BYTES];
    File::open(from)?.read_exact(&mut block)?;
    let mut file = File::create(to)?;
    for _ in 0..bytes / BLOCK_BYTES as u64 {
        file.write_all(&block)?;
    }
    Ok(file.sync_all()?)
}

/// Gives one row of `Doc` a value of so many bytes that zstd makes no smaller.
fn enlarge(file: &str, bytes: usize) -> Outcome {
    let connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;")?;
    let row: i64 = connection.query_row("SELECT MIN(rowid) FROM Doc", [], |row| row.get(0))?;
    connection.execute("UPDATE Doc SET file_stream = zeroblob(?1) WHERE rowid = ?2", (bytes as u64, row))?;
    let mut block = vec![0; BLOCK_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut block)?;
    let mut value = connection.blob_open("main", "Doc", "file_stream", row, false)?;
    for at in (0..bytes).step_by(BLOCK_BYTES) {
        value.write_all(&block[..BLOCK_BYTES.min(bytes - at)])?;
    }
    Ok(value.close()?)
}

/// The largest that TDS allows, as the program asks for.
const PACKET_BYTES: u32 = 32_767;

/// Runs something on a connection, on a runtime as the program has it. `login` is address, user, password.
fn connected<T>(
    login: &[&str],
    work: impl AsyncFnOnce(&mut Link) -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let [address, user, password] = login else { return Err("a login is an address, a user and a password".into()) };
    let mut config = Config::new();
    config.authentication(AuthMethod::sql_server(user, password));
    config.encryption(EncryptionLevel::NotSupported);
    config.packet_size(PACKET_BYTES);
    config.command_timeout(None);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        work(&mut Client::connect(config, socket.compat_write()).await?).await
    })
}

/// Receives every row, and looks at none.
fn drain(login: &[&str], query: &str) -> Outcome {
    connected(login, async |client| {
        let mut rows = client.simple_query(query).await?;
        let mut count = 0_u64;
        while let Some(item) = rows.try_next().await? {
            count += u64::from(matches!(item, QueryItem::Row(_)));
        }
        std::hint::black_box(count);
        Ok(())
    })
}

/// Runs the batches of a file, which stand between lines that say GO; prints the rows of the last one.
fn sql(login: &[&str], file: &str) -> Outcome {
    let script = std::fs::read_to_string(file)?;
    connected(login, async |client| {
        let mut last = Vec::new();
        for batch in script.split("\nGO\n").filter(|batch| !batch.trim().is_empty()) {
            last = client.simple_query(batch).await?.into_results().await?;
        }
        for row in last.iter().flatten() {
            println!("{}", row.cells().map(|(_, cell)| format!("{cell:?}")).collect::<Vec<_>>().join("\t"));
        }
        Ok(())
    })
}
