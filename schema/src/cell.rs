//! How one field of a row becomes a column: its type on disk, and values ↔ Arrow arrays.
//!
//! Integers are signed and wide enough on disk, because differences of unsigned columns wrap around (polars), fail
//! (DuckDB) or become decimals (Spark). Text is plain UTF-8 for Arrow and dictionary-encoded by Parquet.

use std::{fmt::Write as _, net::IpAddr, str::FromStr, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int32Array, Int64Array, ListBuilder,
        StringArray, StringBuilder, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType},
};

use crate::value::{InfoHash, InfoHashV2, PeerId, Reserved, Timestamp};

/// A column's type on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Raw bytes.
    Binary,
    /// True or false.
    Boolean,
    /// Signed 32-bit integer.
    Int32,
    /// Signed 64-bit integer.
    Int64,
    /// UTF-8 text, dictionary-encoded.
    Text,
    /// A list of texts.
    TextList,
    /// Microseconds since the Unix epoch, UTC.
    Time,
}

impl ColumnKind {
    /// The Arrow type; Parquet's follows from it.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Binary => DataType::Binary,
            Self::Boolean => DataType::Boolean,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Text => DataType::Utf8,
            Self::TextList => DataType::List(list_element()),
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    /// The type's name in the reference.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Boolean => "boolean",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Text => "text",
            Self::TextList => "list of text",
            Self::Time => "timestamp (µs, UTC)",
        }
    }
}

fn list_element() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Utf8, false))
}

/// A member of a closed set, for the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The text in the column.
    pub text: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// A value that is there: how a column of it is written and read.
pub trait Scalar: Sized {
    /// The column's type on disk.
    const KIND: ColumnKind;

    /// The members where the column is a closed set, else nothing.
    fn members() -> Vec<Member> {
        Vec::new()
    }

    /// Makes a column.
    fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> ArrayRef
    where
        Self: 'a;

    /// Reads a column back; `None` where its type is another or a text is not this type's.
    fn values(array: &dyn Array) -> Option<Vec<Option<Self>>>;
}

/// A field of a row: a scalar, or an `Option` of one, which is a nullable column.
pub trait Cell: Sized {
    /// What the column holds.
    type Scalar: Scalar;
    /// Whether the column may be null.
    const NULLABLE: bool;

    /// The value, if there is one.
    fn scalar(&self) -> Option<&Self::Scalar>;

    /// The field of a value read; `None` for a null that must not be.
    fn from_scalar(scalar: Option<Self::Scalar>) -> Option<Self>;
}

impl<T: Scalar> Cell for T {
    type Scalar = T;
    const NULLABLE: bool = false;

    fn scalar(&self) -> Option<&T> {
        Some(self)
    }

    fn from_scalar(scalar: Option<T>) -> Option<Self> {
        scalar
    }
}

impl<T: Scalar> Cell for Option<T> {
    type Scalar = T;
    const NULLABLE: bool = true;

    fn scalar(&self) -> Option<&T> {
        self.as_ref()
    }

    fn from_scalar(scalar: Option<T>) -> Option<Self> {
        Some(scalar)
    }
}

impl Scalar for bool {
    const KIND: ColumnKind = ColumnKind::Boolean;

    fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> ArrayRef {
        Arc::new(values.map(Option::<&bool>::copied).collect::<BooleanArray>())
    }

    fn values(array: &dyn Array) -> Option<Vec<Option<Self>>> {
        Some(array.as_boolean_opt()?.iter().collect())
    }
}

/// Integers: written as a signed type that holds them, saturated where it does not.
macro_rules! integer_scalar {
    ($($rust:ty => $kind:ident, $native:ty, $array:ty, $arrow:ty;)*) => { $(
        impl Scalar for $rust {
            const KIND: ColumnKind = ColumnKind::$kind;

            fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> ArrayRef {
                let signed = |value: &$rust| <$native>::try_from(*value).unwrap_or(<$native>::MAX);
                Arc::new(values.map(|value| value.map(signed)).collect::<$array>())
            }

            fn values(array: &dyn Array) -> Option<Vec<Option<Self>>> {
                let array = array.as_primitive_opt::<$arrow>()?;
                read_each(array.iter(), |value| Self::try_from(value).ok())
            }
        }
    )* };
}

integer_scalar! {
    u8 => Int32, i32, Int32Array, Int32Type;
    u16 => Int32, i32, Int32Array, Int32Type;
    u32 => Int64, i64, Int64Array, Int64Type;
    u64 => Int64, i64, Int64Array, Int64Type;
}

impl Scalar for Timestamp {
    const KIND: ColumnKind = ColumnKind::Time;

    fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> ArrayRef {
        let times = values.map(|time| time.map(|time| time.0)).collect::<TimestampMicrosecondArray>();
        Arc::new(times.with_timezone("UTC"))
    }

    fn values(array: &dyn Array) -> Option<Vec<Option<Self>>> {
        let times = array.as_primitive_opt::<TimestampMicrosecondType>()?;
        Some(times.iter().map(|time| time.map(Self)).collect())
    }
}

impl Scalar for String {
    const KIND: ColumnKind = ColumnKind::Text;

    fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> ArrayRef {
        Arc::new(values.map(|value| value.map(String::as_str)).collect::<StringArray>())
    }

    fn values(array: &dyn Array) -> Option<Vec<Option<Self>>> {
        Some(array.as_string_opt::<i32>()?.iter().map(|text| text.map(str::to_owned)).collect())
    }
}

/// Values with one canonical text, written without an allocation each.
macro_rules! display_scalar {
    ($($rust:ty),*) => { $(
        impl Scalar for $rust {
            const KIND: ColumnKind = ColumnKind::Text;

            fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> ArrayRef {
                display_array(values)
            }

            fn values(array: &dyn Array) -> Option<Vec<Option<Self>>> {
                parse_array(array, |text| text.parse().ok())
            }
        }
    )* };
}

display_scalar!(InfoHash, InfoHashV2, Reserved);

impl Scalar for IpAddr {
    const KIND: ColumnKind = ColumnKind::Text;

    fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> ArrayRef {
        display_array(values.map(|ip| ip.map(IpAddr::to_canonical)))
    }

    fn values(array: &dyn Array) -> Option<Vec<Option<Self>>> {
        parse_array(array, |text| IpAddr::from_str(text).ok())
    }
}

fn display_array<T: std::fmt::Display>(values: impl ExactSizeIterator<Item = Option<T>>) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(values.len(), values.len() * 40);
    for value in values {
        match value {
            Some(value) => {
                // Writing to a builder fails only if the value's own Display does, and none of ours does.
                let written = write!(builder, "{value}");
                debug_assert!(written.is_ok(), "a value without text");
                builder.append_value("");
            }
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

/// A column of a closed set.
pub(crate) fn member_array(values: impl ExactSizeIterator<Item = Option<&'static str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

/// Reads a text column back, each text by `parse`.
pub(crate) fn parse_array<T>(array: &dyn Array, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<Option<T>>> {
    read_each(array.as_string_opt::<i32>()?.iter(), parse)
}

/// Reads every value that is there by `read`; `None` if one of them cannot be read.
fn read_each<A, T>(
    values: impl Iterator<Item = Option<A>>,
    read: impl Fn(A) -> Option<T>,
) -> Option<Vec<Option<T>>> {
    values.map(|value| value.map_or(Some(None), |value| read(value).map(Some))).collect()
}

impl Scalar for PeerId {
    const KIND: ColumnKind = ColumnKind::Binary;

    fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> ArrayRef {
        binary_array(values.map(|id| id.map(|id| id.0.as_slice())))
    }

    fn values(array: &dyn Array) -> Option<Vec<Option<Self>>> {
        read_each(array.as_binary_opt::<i32>()?.iter(), |id| id.try_into().ok().map(Self))
    }
}

impl Scalar for Vec<u8> {
    const KIND: ColumnKind = ColumnKind::Binary;

    fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> ArrayRef {
        binary_array(values.map(|bytes| bytes.map(Vec::as_slice)))
    }

    fn values(array: &dyn Array) -> Option<Vec<Option<Self>>> {
        Some(array.as_binary_opt::<i32>()?.iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect())
    }
}

fn binary_array<'a>(values: impl ExactSizeIterator<Item = Option<&'a [u8]>>) -> ArrayRef {
    let mut builder = BinaryBuilder::with_capacity(values.len(), values.len() * 20);
    builder.extend(values);
    Arc::new(builder.finish())
}

impl Scalar for Vec<String> {
    const KIND: ColumnKind = ColumnKind::TextList;

    fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> ArrayRef {
        let mut builder = ListBuilder::new(StringBuilder::new()).with_field(list_element());
        for value in values {
            for text in value.into_iter().flatten() {
                builder.values().append_value(text);
            }
            builder.append(value.is_some());
        }
        Arc::new(builder.finish())
    }

    fn values(array: &dyn Array) -> Option<Vec<Option<Self>>> {
        let texts = |list: ArrayRef| -> Option<Self> {
            list.as_string_opt::<i32>()?.iter().map(|text| text.map(str::to_owned)).collect()
        };
        read_each(array.as_list_opt::<i32>()?.iter(), texts)
    }
}
