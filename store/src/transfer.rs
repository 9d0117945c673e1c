//! Files into a store and out of it, part by part: memory holds one part, whatever the file's size.

use std::path::{Path, PathBuf};

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{Error, GetOptions, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncWriteExt as _},
};

use crate::{Store, StoreError};

/// Larger files go in parts of this size, bytes.
const PART_BYTES: usize = 8 << 20;

/// An object below the store's prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its name below the prefix, `/`-separated.
    pub name: String,
    /// Its size, bytes.
    pub bytes: u64,
}

/// How a file came to be in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// It was put there.
    Put,
    /// It was there already, the same byte for byte.
    WasThere,
}

impl Store {
    fn path(&self, name: &str) -> object_store::path::Path {
        let parts = self.prefix.parts().chain(name.split('/').map(Into::into));
        parts.collect()
    }

    fn failed(&self, name: &str) -> impl Fn(Error) -> StoreError {
        let object = format!("{}/{name}", self.url);
        move |error| StoreError::of(&object, &error)
    }

    /// Puts a small object there unless one of that name is.
    ///
    /// # Errors
    /// The store refuses, or cannot be reached.
    pub async fn put_if_absent(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.objects.put_opts(&self.path(name), PutPayload::from(bytes), create).await {
            Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(()),
            Err(error) => Err(self.failed(name)(error)),
        }
    }

    /// Puts a file there, unless an object of that name is; one that is the same byte for byte is as good. When this
    /// returns without an error the store has told that it holds the whole file.
    ///
    /// # Errors
    /// The store refuses or cannot be reached, another object has the name, or the file cannot be read.
    pub async fn upload(&self, name: &str, file: &Path) -> Result<Uploaded, StoreError> {
        let read = |error: std::io::Error| StoreError::file("read", file, &error);
        let length = tokio::fs::metadata(file).await.map_err(read)?.len();
        let put = if length <= PART_BYTES as u64 {
            let bytes = tokio::fs::read(file).await.map_err(read)?;
            let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            self.objects.put_opts(&self.path(name), PutPayload::from(bytes), create).await.map(drop)
        } else {
            self.put_in_parts(name, file).await?
        };
        match put {
            Ok(()) => {}
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                self.compare(name, file, length).await?;
                return Ok(Uploaded::WasThere);
            }
            Err(error) => return Err(self.failed(name)(error)),
        }
        let stored = match self.objects.head(&self.path(name)).await {
            Ok(object) => object.size,
            // Who may only write has the store's word for what was written.
            Err(Error::PermissionDenied { .. }) => length,
            Err(error) => return Err(self.failed(name)(error)),
        };
        if stored == length {
            return Ok(Uploaded::Put);
        }
        let reason = format!("the store says it has {stored} bytes of {length}");
        Err(StoreError::Store { object: format!("{}/{name}", self.url), reason })
    }

    /// The inner result is the store's; a file that cannot be read is the outer one's error.
    async fn put_in_parts(&self, name: &str, file: &Path) -> Result<Result<(), Error>, StoreError> {
        let read = |error: std::io::Error| StoreError::file("read", file, &error);
        // Completing an upload cannot be made to fail where the object exists, so it is asked for before.
        match self.objects.head(&self.path(name)).await {
            Ok(object) => {
                let source = "the object is there".into();
                return Ok(Err(Error::AlreadyExists { path: object.location.to_string(), source }));
            }
            // Who may not list is refused where there is nothing.
            Err(Error::NotFound { .. } | Error::PermissionDenied { .. }) => {}
            Err(error) => return Ok(Err(error)),
        }
        let mut from = File::open(file).await.map_err(read)?;
        let mut upload = match self.objects.put_multipart(&self.path(name)).await {
            Ok(upload) => upload,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let mut part = Vec::with_capacity(PART_BYTES);
            let taken = (&mut from).take(PART_BYTES as u64).read_to_end(&mut part).await;
            let sent = match taken {
                Ok(0) => break,
                Ok(_) => upload.put_part(PutPayload::from(part)).await,
                Err(error) => {
                    upload.abort().await.ok();
                    return Err(read(error));
                }
            };
            if let Err(error) = sent {
                upload.abort().await.ok();
                return Ok(Err(error));
            }
        }
        Ok(upload.complete().await.map(drop))
    }

    /// Reads an object back and compares it with a file, byte for byte.
    ///
    /// # Errors
    /// They differ, the store refuses or cannot be reached, or the file cannot be read.
    pub async fn check(&self, name: &str, file: &Path) -> Result<(), StoreError> {
        let read = |error: std::io::Error| StoreError::file("read", file, &error);
        let length = tokio::fs::metadata(file).await.map_err(read)?.len();
        self.compare(name, file, length).await
    }

    /// Removes an object, if it is there.
    ///
    /// # Errors
    /// The store refuses or cannot be reached.
    pub async fn remove(&self, name: &str) -> Result<(), StoreError> {
        match self.objects.delete(&self.path(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(name)(error)),
        }
    }

    /// Whether the object is the file: by size, then by every byte.
    async fn compare(&self, name: &str, file: &Path, length: u64) -> Result<(), StoreError> {
        let differs = |reason: String| StoreError::Differs { object: format!("{}/{name}", self.url), reason };
        let read = |error: std::io::Error| StoreError::file("read", file, &error);
        let got = self.objects.get(&self.path(name)).await.map_err(self.failed(name))?;
        if got.meta.size != length {
            return Err(differs(format!("it has {} bytes instead of {length}", got.meta.size)));
        }
        let mut local = File::open(file).await.map_err(read)?;
        let mut stored = got.into_stream();
        let mut at = 0_u64;
        while let Some(bytes) = stored.try_next().await.map_err(self.failed(name))? {
            let mut same = vec![0; bytes.len()];
            local.read_exact(&mut same).await.map_err(read)?;
            if bytes != same {
                return Err(differs(format!("their bytes differ behind byte {at}")));
            }
            at += bytes.len() as u64;
        }
        if at == length { Ok(()) } else { Err(differs(format!("it ends at byte {at} of {length}"))) }
    }

    /// Every object below the prefix, in order of their names.
    ///
    /// # Errors
    /// The store refuses or cannot be reached.
    pub async fn list(&self) -> Result<Vec<Stored>, StoreError> {
        let failed = |error| StoreError::of(&self.url, &error);
        let objects: Vec<_> = self.objects.list(Some(&self.prefix)).try_collect().await.map_err(failed)?;
        let mut stored: Vec<_> = objects
            .into_iter()
            .filter_map(|object| {
                let below = object.location.prefix_match(&self.prefix)?;
                let parts: Vec<_> = below.map(|part| part.as_ref().to_owned()).collect();
                Some(Stored { name: parts.join("/"), bytes: object.size })
            })
            .collect();
        stored.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(stored)
    }

    /// Writes an object to a file of the same name below `folder`, and tells which.
    ///
    /// # Errors
    /// The store refuses or cannot be reached, or the file cannot be written.
    pub async fn download(&self, object: &Stored, folder: &Path) -> Result<PathBuf, StoreError> {
        let path = folder.join(&object.name);
        let write = |error: std::io::Error| StoreError::file("write", &path, &error);
        if let Some(home) = path.parent() {
            tokio::fs::create_dir_all(home).await.map_err(write)?;
        }
        let failed = self.failed(&object.name);
        let got =
            self.objects.get_opts(&self.path(&object.name), GetOptions::default()).await.map_err(&failed)?;
        let mut stream = got.into_stream();
        let mut file = File::create(&path).await.map_err(write)?;
        let mut bytes = 0;
        while let Some(part) = stream.next().await {
            let part = part.map_err(&failed)?;
            bytes += part.len() as u64;
            file.write_all(&part).await.map_err(write)?;
        }
        file.flush().await.map_err(write)?;
        if bytes == object.bytes {
            return Ok(path);
        }
        let reason = format!("{bytes} bytes came of {}", object.bytes);
        Err(StoreError::Store { object: format!("{}/{}", self.url, object.name), reason })
    }
}
