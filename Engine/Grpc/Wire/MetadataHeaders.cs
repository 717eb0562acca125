using System.Buffers.Text;
using Grpc.Core;

namespace MultiCluster.Engine.Grpc.Wire;

/// <summary>Metadata as HTTP headers: text as it is, bytes as base64.</summary>
internal static class MetadataHeaders
{
    /// <summary>The header value of an entry.</summary>
    /// <exception cref="RpcException">INTERNAL: the text has characters that cannot travel in a header.</exception>
    public static string ToHeaderValue(Metadata.Entry entry)
    {
        if (entry.IsBinary)
        {
            return Convert.ToBase64String(entry.Bytes);
        }

        if (entry.Value.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            throw new RpcException(new Status(
                StatusCode.Internal, $"The value of metadata '{entry.Key}' has characters beyond printable ASCII; use a '{Metadata.BinaryHeaderSuffix}' key."));
        }

        return entry.Value;
    }

    /// <summary>Adds what a peer sent under one name. Transport headers and names that are no metadata keys are left out.</summary>
    /// <exception cref="RpcException">INTERNAL: a binary value is no base64.</exception>
    public static void Add(Metadata metadata, string name, string value)
    {
        if (GrpcNames.IsReserved(name) || !IsKey(name))
        {
            return;
        }

        if (!name.EndsWith(Metadata.BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase))
        {
            metadata.Add(name, value);
            return;
        }

        // Several binary values may arrive joined by commas, which base64 never contains.
        foreach (Range part in value.AsSpan().Split(','))
        {
            metadata.Add(name, Decode(name, value.AsSpan()[part].Trim()));
        }
    }

    private static byte[] Decode(string name, ReadOnlySpan<char> base64)
    {
        // Senders may leave the padding out.
        Span<char> padded = base64.Length <= 512 ? stackalloc char[base64.Length + 3] : new char[base64.Length + 3];
        base64.CopyTo(padded);
        int length = base64.Length;
        while (length % 4 != 0 && length < padded.Length)
        {
            padded[length++] = '=';
        }

        byte[] bytes = new byte[Base64.GetMaxDecodedFromUtf8Length(length)];
        if (!Convert.TryFromBase64Chars(padded[..length], bytes, out int written))
        {
            throw new RpcException(new Status(StatusCode.Internal, $"The binary metadata '{name}' is not valid base64."));
        }

        return bytes.AsSpan(0, written).ToArray();
    }

    private static bool IsKey(string name)
    {
        foreach (char c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '-' or '.'))
            {
                return false;
            }
        }

        return name.Length > 0;
    }
}
