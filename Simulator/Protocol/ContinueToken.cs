using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Where a paged list goes on: the revision of the first page and the key behind the last item.</summary>
/// <param name="Revision">Revision of the list; -1 to go on with the present.</param>
/// <param name="Start">First possible key, relative to the namespace when the list has one.</param>
internal readonly record struct ContinueToken(long Revision, string Start)
{
    /// <summary>The token behind an object.</summary>
    /// <param name="revision">Revision of the list.</param>
    /// <param name="last">Last object of the page.</param>
    /// <param name="withNamespace">The list spans all namespaces.</param>
    /// <param name="first">First pages come from the cache, whose keys begin with a slash; the token shows it.</param>
    public static ContinueToken After(long revision, StoredObject last, bool withNamespace, bool first)
    {
        string key = withNamespace && last.Namespace.Length > 0 ? $"{last.Namespace}/{last.Name}" : last.Name;
        return new ContinueToken(revision, $"{(first ? "/" : "")}{key}\0");
    }

    /// <exception cref="StatusException">400 when it is none.</exception>
    public static ContinueToken Parse(string text)
    {
        byte[] json;
        try
        {
            json = Decode(text.TrimEnd('='));
        }
        catch (FormatException)
        {
            throw Invalid($"illegal base64 data at input byte {text.TakeWhile(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_').Count()}");
        }

        JsonObject token;
        try
        {
            token = JsonTree.ParseObject(json);
        }
        catch (JsonException)
        {
            string first = json.Length == 0 ? "unexpected end of JSON input" : $"invalid character {Quote(json[0])} looking for beginning of value";
            throw Invalid(first);
        }

        if (token.Text("v") != "meta.k8s.io/v1")
        {
            throw Invalid("server does not recognize this encoded version " + token.Text("v"));
        }

        string start = token.Text("start") ?? "";
        if (start.Length == 0 || token.Number("rv") is not { } revision || revision == 0)
        {
            throw Invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
        }

        return new ContinueToken(revision, start.TrimStart('/'));
    }

    // Bits behind the last byte are ignored, as in Go; .NET would refuse them.
    private static byte[] Decode(string text)
    {
        const string Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        int spare = (text.Length % 4) switch { 2 => 0b1111, 3 => 0b11, _ => 0 };
        int last = spare == 0 ? -1 : Alphabet.IndexOf(text[^1], StringComparison.Ordinal);
        return Base64Url.DecodeFromChars(last < 0 ? text : text[..^1] + Alphabet[last & ~spare]);
    }

    public string Encode() => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(
        $$"""{"v":"meta.k8s.io/v1","rv":{{Revision}},"start":"{{JsonEncodedText.Encode(Start)}}"}"""));

    /// <summary>The first key as namespace and name.</summary>
    public (string Namespace, string Name) Key(string? listNamespace)
    {
        if (listNamespace is not null)
        {
            return (listNamespace, Start);
        }

        int slash = Start.IndexOf('/');
        return slash < 0 ? ("", Start) : (Start[..slash], Start[(slash + 1)..]);
    }

    private static StatusException Invalid(string why) => Refusal.BadRequest("invalid continue token: continue key is not valid: " + why);

    private static string Quote(byte value) => value is >= 0x20 and < 0x7f ? $"'{(char)value}'" : $"'\\u{value:x4}'";
}
