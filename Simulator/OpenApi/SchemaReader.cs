using System.Reflection;

namespace MultiCluster.Simulator.OpenApi;

/// <summary>Reads the compact notation of <c>Schemas/*.txt</c>.</summary>
/// <remarks>
/// <code>
/// @ io.k8s.api.apps.v1 apps/v1        the types below: prefix of their OpenAPI names, and group/version of kinds
/// kind Deployment : text              a top-level type; apiVersion, kind and metadata come by themselves
/// type DeploymentSpec : text          a part; "atomic" before the colon: always merged as one value
///   name! = type options : text       a field; ! required, = written even while zero
/// </code>
/// Types: string int32 int64 bool double time microtime quantity intorstr bytes any, []T, {}T, or a declared type.
/// Options: <c>key=a,b:default</c> keyed list; <c>patch=x</c> another key for strategic merge patches; <c>patch</c> alone means none;
/// <c>set</c>; <c>atomic</c>; <c>retain</c> for $retainKeys.
/// </remarks>
internal static class SchemaReader
{
    public static SchemaCatalog ReadEmbedded()
    {
        Assembly assembly = typeof(SchemaReader).Assembly;
        List<string> lines = [];
        foreach (string name in assembly.GetManifestResourceNames().Where(n => n.Contains(".Schemas.", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
            while (reader.ReadLine() is { } line)
            {
                lines.Add(line);
            }
        }

        return Read(lines);
    }

    /// <exception cref="InvalidDataException">A line does not follow the notation, or names a type that is not declared.</exception>
    public static SchemaCatalog Read(IReadOnlyList<string> lines)
    {
        Dictionary<string, SchemaType> types = new(StringComparer.Ordinal);
        HashSet<string> atomic = new(StringComparer.Ordinal);
        List<(SchemaType Owner, string Line)> fields = [];
        string prefix = "";
        string groupVersion = "";
        SchemaType? current = null;
        foreach (string line in lines)
        {
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            if (line[0] == ' ')
            {
                fields.Add((current ?? throw new InvalidDataException($"A field outside a type: {line}"), line.Trim()));
                continue;
            }

            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words[0] == "@")
            {
                prefix = words[1];
                groupVersion = words.Length > 2 ? words[2] : "";
                continue;
            }

            current = Declare(line, words, prefix, groupVersion);
            // Two groups may have a kind of the same name (Event); parts are shared by name.
            string key = current.Kind is null ? current.Name : current.Definition;
            if (!types.TryAdd(key, current))
            {
                throw new InvalidDataException($"{key} is declared twice.");
            }

            if (words.Contains("atomic") && Array.IndexOf(words, "atomic") < Array.IndexOf(words, ":"))
            {
                atomic.Add(current.Name);
            }

            if (current.Kind is not null)
            {
                fields.Add((current, "apiVersion string : Group and version of this document."));
                fields.Add((current, "kind string : Kind of this document."));
                fields.Add((current, "metadata= ObjectMeta : Name, labels and other metadata."));
            }
        }

        foreach ((SchemaType owner, string line) in fields)
        {
            SchemaField field = Field(line, types, atomic);
            owner.Fields[field.Name] = field;
        }

        return new SchemaCatalog([.. types.Values]);
    }

    private static SchemaType Declare(string line, string[] words, string prefix, string groupVersion)
    {
        int colon = line.IndexOf(" : ", StringComparison.Ordinal);
        string description = colon < 0 ? "" : line[(colon + 3)..];
        string name = words[1];
        if (words[0] == "type")
        {
            return new SchemaType(name, $"{prefix}.{name}", description);
        }

        int slash = groupVersion.IndexOf('/', StringComparison.Ordinal);
        return words[0] == "kind" && slash >= 0
            ? new SchemaType(name, $"{prefix}.{name}", description) { Kind = (groupVersion[..slash], groupVersion[(slash + 1)..], name) }
            : throw new InvalidDataException($"Neither kind nor type: {line}");
    }

    private static SchemaField Field(string line, Dictionary<string, SchemaType> types, HashSet<string> atomic)
    {
        int colon = line.IndexOf(" : ", StringComparison.Ordinal);
        string description = colon < 0 ? "" : line[(colon + 3)..];
        string[] words = (colon < 0 ? line : line[..colon]).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        string name = words[0].TrimEnd('!', '=');
        string flags = words[0][name.Length..];
        return new SchemaField(name, Node(words[1], words[2..], types, atomic), description, flags.Contains('!'), flags.Contains('='));
    }

    private static SchemaNode Node(string type, string[] options, Dictionary<string, SchemaType> types, HashSet<string> atomic)
    {
        if (type.StartsWith("[]", StringComparison.Ordinal))
        {
            SchemaNode element = Node(type[2..], [], types, atomic);
            string? keys = Option(options, "key=");
            string? patch = Option(options, "patch=");
            return new SchemaNode
            {
                Shape = ValueShape.List,
                Element = element,
                Merge = keys is not null ? MergeKind.Keyed : options.Contains("set") ? MergeKind.Set : MergeKind.Atomic,
                Keys = keys is null ? [] : [.. keys.Split(',').Select(Key)],
                PatchMergeKey = options.Contains("patch") ? null : patch ?? (keys is null ? null : Key(keys.Split(',')[0]).Name),
                PatchMerges = !options.Contains("patch") && (patch ?? keys) is not null || options.Contains("set"),
                RetainKeys = options.Contains("retain"),
            };
        }

        MergeKind merge = options.Contains("atomic") ? MergeKind.Atomic : MergeKind.Granular;
        if (type.StartsWith("{}", StringComparison.Ordinal))
        {
            return new SchemaNode { Shape = ValueShape.Map, Element = Node(type[2..], [], types, atomic), Merge = merge };
        }

        ValueShape? scalar = type switch
        {
            "string" => ValueShape.String,
            "int32" => ValueShape.Int32,
            "int64" => ValueShape.Int64,
            "bool" => ValueShape.Boolean,
            "double" => ValueShape.Double,
            "time" => ValueShape.Time,
            "microtime" => ValueShape.MicroTime,
            "quantity" => ValueShape.Quantity,
            "intorstr" => ValueShape.IntOrString,
            "bytes" => ValueShape.Bytes,
            "any" => ValueShape.Any,
            _ => null,
        };
        if (scalar is { } shape)
        {
            return new SchemaNode { Shape = shape, Merge = shape == ValueShape.Any ? MergeKind.Atomic : merge };
        }

        return types.TryGetValue(type, out SchemaType? declared)
            ? new SchemaNode
            {
                Shape = ValueShape.Struct,
                Type = declared,
                Merge = atomic.Contains(type) ? MergeKind.Atomic : merge,
                RetainKeys = options.Contains("retain"),
            }
            : throw new InvalidDataException($"Type {type} is not declared.");
    }

    private static string? Option(string[] options, string prefix)
    {
        string? option = options.FirstOrDefault(o => o.StartsWith(prefix, StringComparison.Ordinal));
        return option?[prefix.Length..];
    }

    private static ListKey Key(string text)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 ? new ListKey(text, null) : new ListKey(text[..colon], text[(colon + 1)..]);
    }
}
