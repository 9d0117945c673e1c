//! Closed sets: enums whose text is a column's value and whose code is the WAL's byte.
//!
//! A code is written once and never reused, so that a WAL of an older version still reads.

/// Defines an enum of a closed set: variant = WAL code, column text.
macro_rules! closed_set {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[doc = $doc:literal])* $variant:ident = $code:literal, $text:literal; )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(into = "u8", try_from = "u8")]
        #[repr(u8)]
        pub enum $name { $( $(#[doc = $doc])* $variant = $code, )* }

        impl $name {
            /// Every member, in the order of the definition.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The text that stands in the column.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )* }
            }

            /// What the member means, one line, as in the reference.
            pub const fn doc(self) -> &'static str {
                match self { $( Self::$variant => concat!($( $doc, )* "").trim_ascii(), )* }
            }
        }

        impl From<$name> for u8 {
            fn from(value: $name) -> u8 { value as u8 }
        }

        impl TryFrom<u8> for $name {
            type Error = $crate::value::UnknownCode;
            fn try_from(code: u8) -> Result<Self, Self::Error> {
                match code {
                    $( $code => Ok(Self::$variant), )*
                    _ => Err($crate::value::UnknownCode { set: stringify!($name), code }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::value::UnknownText;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $text => Ok(Self::$variant), )*
                    _ => Err($crate::value::UnknownText { what: stringify!($name), text: text.to_owned() }),
                }
            }
        }

        #[cfg(test)]
        impl $crate::table::sample::Sample for $name {
            fn sample(draw: &mut $crate::table::sample::Draw) -> Self {
                Self::ALL[usize::try_from(draw.below(Self::ALL.len() as u64)).unwrap_or(0)]
            }
        }

        impl $crate::cell::Scalar for $name {
            const KIND: $crate::cell::ColumnKind = $crate::cell::ColumnKind::Text;

            fn members() -> Vec<$crate::cell::Member> {
                let member = |member: &Self| $crate::cell::Member { text: member.as_str(), doc: member.doc() };
                Self::ALL.iter().map(member).collect()
            }

            fn array<'a>(values: impl ExactSizeIterator<Item = Option<&'a Self>>) -> arrow::array::ArrayRef {
                $crate::cell::member_array(values.map(|value| value.map(|value| value.as_str())))
            }

            fn values(array: &dyn arrow::array::Array) -> Option<Vec<Option<Self>>> {
                $crate::cell::parse_array(array, |text| text.parse().ok())
            }
        }
    };
}
