/// The list of an enum's variants, in an `impl` of it. The compiler proves it complete: a variant that is not named here does not
/// match below.
macro_rules! every {
    ($($variant:ident),* $(,)?) => {
        /// Every one.
        pub const ALL: &[Self] = &[$(Self::$variant),*];

        #[expect(dead_code, reason = "it is there to be compiled")]
        const fn is_in_the_list(&self) {
            match self {
                $(Self::$variant => (),)*
            }
        }
    };
}
