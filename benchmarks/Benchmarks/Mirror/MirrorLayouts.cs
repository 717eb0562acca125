using System.IO.Compression;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Json;

namespace MultiCluster.Benchmarks.Mirror;

/// <summary>Compares ways to keep the JSON of pods: size, speed of packing, speed of reading back. The numbers behind decision 0001.</summary>
internal static class MirrorLayouts
{
    public static void Run(int count)
    {
        byte[][] texts = new byte[count][];
        var pods = new SamplePods();
        var scanner = new ObjectScanner(SamplePods.Type);
        long received = 0;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> pod = pods[i];
            received += pod.Length;
            ScannedObject scanned = scanner.Scan(pod);
            texts[i] = new byte[scanned.JsonLength];
            scanned.CopyJson(texts[i]);
        }

        long total = texts.Sum(static t => (long)t.Length);
        var report = new Report("Layouts of the mirror", "layout", "bytes per pod", "of the JSON", "packing MB/s", "reading MB/s");
        Measure("raw", texts, total, report, static (text, _) => text.ToArray(), static (packed, _, _, text) => packed.CopyTo(text));
        Measure("own LZ, each alone", texts, total, report, static (t, _) => Pack(null, t), Unpack);
        byte[] seed = texts[0];
        MirrorRow seedRow = RowOf(seed, null, seed, isRaw: true);
        Measure("own LZ against the first pod", texts, total, report, (t, _) => Pack(seedRow, t), (p, _, _, text) => RowUnpacker.Unpack(p, seed, default, text));
        MeasureSiblings(texts, total, report, seedRow);
        Measure("Deflate fastest, each alone", texts[..Math.Min(count, 10_000)], texts.Take(10_000).Sum(static t => (long)t.Length), report, Deflate, Inflate);
        Measure("Brotli quality 1, each alone", texts[..Math.Min(count, 10_000)], texts.Take(10_000).Sum(static t => (long)t.Length), report, BrotliPack, BrotliUnpack);
        report.Print($"{count:N0} pods of {received / count:N0} bytes ({total / count:N0} without managedFields), {SamplePods.PerOwner} per ReplicaSet; CPU time of the process. "
            + "Bytes of the packed JSON with the array header, without columns. Deflate and Brotli over 10,000 pods.");
    }

    private delegate byte[] Packing(byte[] text, int index);

    private delegate void Reading(byte[] packed, int index, byte[][] all, Span<byte> text);

    private static void Measure(string name, byte[][] texts, long total, Report report, Packing pack, Reading read)
    {
        byte[][] packed = new byte[texts.Length][];
        for (int i = 0; i < Math.Min(texts.Length, 2000); i++)
        {
            packed[i] = pack(texts[i], i);   // warm the code up before it is timed
        }

        TimeSpan start = Environment.CpuUsage.TotalTime;
        for (int i = 0; i < texts.Length; i++)
        {
            packed[i] = pack(texts[i], i);
        }

        double packing = total / 1e6 / (Environment.CpuUsage.TotalTime - start).TotalSeconds;
        byte[] buffer = new byte[64 * 1024];
        start = Environment.CpuUsage.TotalTime;
        for (int i = 0; i < texts.Length; i++)
        {
            read(packed[i], i, packed, buffer.AsSpan(0, texts[i].Length));
        }

        double reading = total / 1e6 / (Environment.CpuUsage.TotalTime - start).TotalSeconds;
        long bytes = packed.Sum(static p => 24L + ((p.Length + 7) & ~7));
        report.Row(name, bytes / texts.Length, $"{100.0 * bytes / total:f1} %", $"{packing:f0}", $"{reading:f0}");
    }

    private static void MeasureSiblings(byte[][] texts, long total, Report report, MirrorRow seed)
    {
        var rows = new MirrorRow[texts.Length];
        for (int round = 0; round < 2; round++)
        {
            TimeSpan start = Environment.CpuUsage.TotalTime;
            for (int i = 0; i < texts.Length; i++)
            {
                MirrorRow basis = i % SamplePods.PerOwner == 0 ? seed : rows[i - i % SamplePods.PerOwner];
                rows[i] = RowOf(texts[i], basis, Pack(basis, texts[i]), isRaw: false);
            }

            double packing = total / 1e6 / (Environment.CpuUsage.TotalTime - start).TotalSeconds;
            byte[] buffer = new byte[64 * 1024];
            start = Environment.CpuUsage.TotalTime;
            for (int i = 0; i < rows.Length; i++)
            {
                rows[i].CopyJson(buffer);
            }

            double reading = total / 1e6 / (Environment.CpuUsage.TotalTime - start).TotalSeconds;
            long bytes = rows.Sum(static r => 24L + ((r.PackedLength + 7) & ~7));
            if (round == 1)
            {
                report.Row("own LZ against the first pod of its ReplicaSet", bytes / rows.Length, $"{100.0 * bytes / total:f1} %", $"{packing:f0}", $"{reading:f0}");
            }
        }
    }

    private static MirrorRow RowOf(byte[] text, MirrorRow? basis, byte[] packed, bool isRaw)
    {
        var draft = new RowDraft(0, null!, null!, "", default, 0, 0, 0, text.Length, MirrorRow.Traits.ForeignUid);
        return new MirrorRow(draft, packed, basis, isRaw);
    }

    private static byte[] Pack(MirrorRow? basis, byte[] text)
    {
        RowPacker packer = RowPacker.OfThisThread;
        packer.Begin(basis, default);
        text.CopyTo(packer.Stage(text.Length));
        return packer.Pack().ToArray();
    }

    private static void Unpack(byte[] packed, int index, byte[][] all, Span<byte> text) => RowUnpacker.Unpack(packed, default, default, text);

    private static byte[] Deflate(byte[] text, int index)
    {
        using var target = new MemoryStream();
        using (var deflate = new DeflateStream(target, CompressionLevel.Fastest))
        {
            deflate.Write(text);
        }

        return target.ToArray();
    }

    private static void Inflate(byte[] packed, int index, byte[][] all, Span<byte> text)
    {
        using var inflate = new DeflateStream(new MemoryStream(packed), CompressionMode.Decompress);
        inflate.ReadExactly(text);
    }

    private static byte[] BrotliPack(byte[] text, int index)
    {
        byte[] target = new byte[BrotliEncoder.GetMaxCompressedLength(text.Length)];
        BrotliEncoder.TryCompress(text, target, out int length, quality: 1, window: 16);
        return target[..length];
    }

    private static void BrotliUnpack(byte[] packed, int index, byte[][] all, Span<byte> text) => BrotliDecoder.TryDecompress(packed, text, out _);
}
