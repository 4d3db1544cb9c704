//! Words and names of which masks are made. Changing them changes masks: a source's masked bundles would no longer fit the
//! ones before.

pub(super) const WORDS: [&str; 64] = [
    "amber", "arch", "autumn", "basin", "beacon", "birch", "bridge", "brook", "candle", "canyon", "cedar", "circle",
    "cloud", "copper", "coral", "corner", "cotton", "delta", "ember", "falcon", "fern", "field", "forest", "garden",
    "glacier", "granite", "harbour", "hazel", "hollow", "island", "ivory", "jasper", "juniper", "kettle", "lantern",
    "lemon", "linen", "maple", "marble", "meadow", "mirror", "north", "ocean", "olive", "orchard", "paper", "pebble",
    "pepper", "pillar", "quartz", "ribbon", "river", "saddle", "saffron", "signal", "silver", "slate", "spring",
    "summit", "timber", "valley", "velvet", "willow", "winter",
];

pub(super) const GIVEN_NAMES: [&str; 64] = [
    "Ada", "Alan", "Amir", "Anna", "Arjun", "Aylin", "Bea", "Boris", "Carla", "Chen", "Clara", "Daan", "Dina", "Elif",
    "Emil", "Enzo", "Esra", "Eva", "Fatou", "Finn", "Gita", "Hana", "Hugo", "Ines", "Ivan", "Jana", "Jonas", "Kai",
    "Karim", "Kofi", "Lara", "Leila", "Leon", "Lina", "Luca", "Maja", "Marek", "Mei", "Mila", "Mira", "Nadia", "Nils",
    "Noor", "Olga", "Omar", "Paolo", "Petra", "Priya", "Rafael", "Rosa", "Sami", "Sara", "Sofia", "Sven", "Tariq",
    "Tess", "Tomas", "Uma", "Vera", "Viktor", "Wanda", "Yara", "Yusuf", "Zoe",
];

pub(super) const FAMILY_NAMES: [&str; 64] = [
    "Adeyemi", "Almeida", "Andersen", "Baker", "Banerjee", "Bauer", "Bianchi", "Brandt", "Castro", "Cooper", "Costa",
    "Dubois", "Eriksen", "Farouk", "Fischer", "Fontana", "Garcia", "Gruber", "Haddad", "Hansen", "Horvat", "Ito",
    "Jansen", "Kaya", "Keller", "Kim", "Klein", "Kovacs", "Larsen", "Leclerc", "Lopez", "Marino", "Mensah", "Meyer",
    "Moreau", "Nagy", "Novak", "Okafor", "Olsen", "Ortega", "Osman", "Park", "Patel", "Petrov", "Popov", "Ramos",
    "Ricci", "Rossi", "Sato", "Schmid", "Silva", "Singh", "Smit", "Sousa", "Tanaka", "Toth", "Vargas", "Vogel",
    "Wagner", "Weber", "Wong", "Yilmaz", "Young", "Zhang",
];

/// Extensions that say the type of a file, and so may stay. Any other may be part of a name.
pub(super) const EXTENSIONS: [&str; 66] = [
    "7z", "aac", "ai", "avi", "bak", "bin", "bmp", "bz2", "c", "cpp", "cs", "css", "csv", "dat", "dbf", "dcm", "doc",
    "docm", "docx", "dwg", "eml", "eps", "epub", "gif", "gz", "heic", "htm", "html", "ics", "jpeg", "jpg", "js",
    "json", "log", "m4a", "md", "mov", "mp3", "mp4", "mpg", "msg", "odp", "ods", "odt", "ogg", "pdf", "png", "ppt",
    "pptm", "pptx", "ps", "psd", "rar", "rtf", "svg", "tar", "tif", "tiff", "txt", "vcf", "wav", "webp", "xls", "xlsx",
    "xml", "zip",
];
