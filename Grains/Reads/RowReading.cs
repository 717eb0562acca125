using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using MultiCluster.Grains.Mirror;
using MultiCluster.Reads;
using MirrorReadiness = MultiCluster.Grains.Mirror.ReadinessState;
using ReadinessState = MultiCluster.Reads.ReadinessState;

namespace MultiCluster.Grains.Reads;

/// <summary>Takes from a row what answers need.</summary>
internal static class RowReading
{
    /// <summary>Something that looks at JSON whose bytes die when it returns.</summary>
    public delegate TResult JsonReading<in TState, out TResult>(ReadOnlySpan<byte> json, TState state);

    /// <summary>Readiness in the terms of the contracts.</summary>
    public static ReadinessState StateOf(MirrorRow row) => row.Status.Readiness switch
    {
        MirrorReadiness.Ready => ReadinessState.Ready,
        MirrorReadiness.Progressing => ReadinessState.Progressing,
        MirrorReadiness.NotReady => ReadinessState.NotReady,
        MirrorReadiness.Failed => ReadinessState.Failed,
        MirrorReadiness.Completed => ReadinessState.Completed,
        MirrorReadiness.NotApplicable => ReadinessState.NotApplicable,
        _ => ReadinessState.Unknown,
    };

    /// <summary>Uid in the terms of the contracts: for uids of another form than a UUID one that stands for it.</summary>
    public static Guid UidOf(MirrorRow row)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, row.Uid.High);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], row.Uid.Low);
        return new Guid(bytes, bigEndian: true);
    }

    /// <summary>The row of an answer.</summary>
    public static ObjectRow RowOf(MirrorRow row, int offset, int length) => new(
        row.Namespace, row.Name, UidOf(row), offset, length, StateOf(row), row.Status.Reason.Length == 0 ? null : row.Status.Reason);

    /// <summary>Lends the JSON of a row.</summary>
    public static TResult WithJson<TState, TResult>(MirrorRow row, TState state, JsonReading<TState, TResult> read)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(row.JsonLength);
        try
        {
            Span<byte> json = rented.AsSpan(0, row.JsonLength);
            row.CopyJson(json);
            return read(json, state);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Writes an object's JSON, or the part of it that is asked for.</summary>
    public static void Write(MirrorRow row, Projection projection, IBufferWriter<byte> payload)
    {
        switch (projection)
        {
            case Projection.Object:
                row.CopyJson(payload);
                break;
            case Projection.Metadata:
                WithJson(row, payload, static (json, target) =>
                {
                    WriteMetadata(json, target);
                    return 0;
                });
                break;
            default:
                break;
        }
    }

    /// <summary>Writes an object with nothing but <c>apiVersion</c>, <c>kind</c> and <c>metadata</c>, their bytes as they are.</summary>
    public static void WriteMetadata(ReadOnlySpan<byte> json, IBufferWriter<byte> payload)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 1024 });
        reader.Read();
        bool first = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            int start = (int)reader.TokenStartIndex;
            bool wanted = reader.ValueTextEquals("apiVersion"u8) || reader.ValueTextEquals("kind"u8) || reader.ValueTextEquals("metadata"u8);
            reader.Read();
            reader.Skip();
            if (wanted)
            {
                payload.Write(first ? "{"u8 : ","u8);
                payload.Write(json[start..(int)reader.BytesConsumed]);
                first = false;
            }
        }

        payload.Write(first ? "{}"u8 : "}"u8);
    }
}
