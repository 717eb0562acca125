using System.Text.Json;

namespace MultiCluster.Kubernetes.Json;

/// <summary>How the platform's JSON reader is used on what a member sends.</summary>
internal static class JsonLimits
{
    /// <summary>As deep as <see cref="JsonCursor"/> reads, and the envelope around it: what a list may hold a watch may send.</summary>
    public static readonly JsonReaderOptions Reader = new() { MaxDepth = JsonCursor.MaxDepth + 8 };

    /// <summary>Whether an exception says that the JSON is bad.</summary>
    /// <remarks>The reader throws the second one where an escape is half a surrogate pair: JSON by its grammar, but no text.</remarks>
    public static bool IsBadJson(Exception e) => e is JsonException or InvalidOperationException;
}
