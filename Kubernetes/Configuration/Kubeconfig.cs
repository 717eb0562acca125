using System.Collections.Immutable;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace MultiCluster.Kubernetes.Configuration;

/// <summary>Reads kubeconfig files.</summary>
/// <remarks>
/// Pure but for the files read. Every context is judged on its own, so that one broken user does not hide nine good ones.
/// A duplicate name counts from its first entry, as for kubectl. Fields that are not known are ignored, as kubectl does.
/// </remarks>
public static class Kubeconfig
{
    // Kubeconfigs of hundreds of contexts with inline certificates stay below 5 MB.
    private const int MaxBytes = 16 * 1024 * 1024;

    /// <summary>Reads a file; its file references are relative to it.</summary>
    /// <param name="path">Path; <c>~/</c> at its start is the home folder.</param>
    /// <param name="options">How to read; <see cref="KubeconfigOptions.BaseDirectory"/> is set to the file's folder.</param>
    /// <param name="time">Clock for the expiry of certificates; null for the system's.</param>
    public static KubeconfigResult Load(string path, KubeconfigOptions? options = null, TimeProvider? time = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string full = path.StartsWith("~/", StringComparison.Ordinal)
            ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), path[2..])
            : Path.GetFullPath(path);
        try
        {
            if (new FileInfo(full).Length > MaxBytes)
            {
                return Faulty(path, null, "The file is larger than 16 MiB, which no kubeconfig is.");
            }

            return Parse(File.ReadAllText(full), path, (options ?? new KubeconfigOptions()) with { BaseDirectory = Path.GetDirectoryName(full) }, time);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return Faulty(path, null, "There is no such file.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Faulty(path, null, $"The file cannot be read ({(e is UnauthorizedAccessException ? "access denied" : e.GetType().Name)}).");
        }
    }

    /// <summary>Reads a text.</summary>
    /// <param name="yaml">YAML or JSON.</param>
    /// <param name="source">What to call it in faults.</param>
    /// <param name="options">How to read; without a base directory, references to files are faults.</param>
    /// <param name="time">Clock for the expiry of certificates; null for the system's.</param>
    public static KubeconfigResult Parse(string yaml, string source, KubeconfigOptions? options = null, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(yaml);
        YamlNode? root;
        try
        {
            var stream = new YamlStream();
            using var reader = new StringReader(yaml);
            stream.Load(new BoundedYaml(new Parser(reader)));
            root = stream.Documents.Count > 0 ? stream.Documents[0].RootNode : null;
        }
        catch (YamlShapeException e)
        {
            return Faulty(source, null, e.Message);
        }
        catch (YamlException e)
        {
            // The parser's message may quote the text, and the text holds secrets.
            return Faulty(source, null, $"It is not YAML: line {e.Start.Line}, column {e.Start.Column} cannot be read.");
        }

        if (root is not YamlMappingNode map)
        {
            return Faulty(source, null, "It is not a kubeconfig: a mapping with clusters, users and contexts was expected.");
        }

        if (Scalar(map, "kind") is { } kind && kind != "Config")
        {
            return Faulty(source, "kind", $"It is '{(kind.Length <= 40 ? kind : kind[..40])}', and must be Config.");
        }

        Dictionary<string, YamlMappingNode> clusters = Named(map, "clusters", "cluster");
        Dictionary<string, YamlMappingNode> users = Named(map, "users", "user");
        Dictionary<string, YamlMappingNode> contexts = Named(map, "contexts", "context");
        if (contexts.Count == 0)
        {
            return Faulty(source, "contexts", "There are no contexts in it.");
        }

        DateTimeOffset now = (time ?? TimeProvider.System).GetUtcNow();
        ImmutableArray<KubeconfigContext> read =
        [
            .. contexts.Select(pair => new ContextReading(source, pair.Key, options ?? new KubeconfigOptions(), now).Read(pair.Value, clusters, users)),
        ];
        string? current = Scalar(map, "current-context") is { Length: > 0 } name ? name : null;
        ImmutableArray<KubeconfigFault> faults = current is not null && !contexts.ContainsKey(current)
            ? [new KubeconfigFault(source, current, "current-context", "There is no such context; correct it or name a context.")]
            : [];

        // A wrong current-context harms only those who ask for it by default.
        return new KubeconfigResult
        {
            Source = source,
            Contexts = faults.IsEmpty ? read : [.. read, new KubeconfigContext(current!, null, faults)],
            CurrentContext = current,
        };
    }

    internal static string? Scalar(YamlMappingNode map, string key) =>
        map.Children.TryGetValue(new YamlScalarNode(key), out YamlNode? node) && node is YamlScalarNode scalar
            && !(scalar.Style == ScalarStyle.Plain && scalar.Value is "null" or "~")
            ? scalar.Value
            : null;

    private static Dictionary<string, YamlMappingNode> Named(YamlMappingNode root, string list, string body)
    {
        var named = new Dictionary<string, YamlMappingNode>(StringComparer.Ordinal);
        if (root.Children.TryGetValue(new YamlScalarNode(list), out YamlNode? node) && node is YamlSequenceNode entries)
        {
            foreach (YamlMappingNode entry in entries.OfType<YamlMappingNode>())
            {
                YamlMappingNode content = entry.Children.TryGetValue(new YamlScalarNode(body), out YamlNode? inner) && inner is YamlMappingNode found
                    ? found
                    : [];
                if (Scalar(entry, "name") is { } name)
                {
                    _ = named.TryAdd(name, content);
                }
            }
        }

        return named;
    }

    private static KubeconfigResult Faulty(string source, string? field, string problem) =>
        new() { Source = source, Faults = [new KubeconfigFault(source, null, field, problem)] };
}
